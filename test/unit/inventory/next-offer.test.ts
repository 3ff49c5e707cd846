// The step from one offer to the next, over a sequence of looks: unchanged parts are kept, changed parts are computed anew, and whatever waits
// says until when.
import assert from 'node:assert/strict';
import type { Vf } from '../../../host/nic/vf.ts';
import { parseConfig } from '../../../inventory/config/config.ts';
import type { Facts } from '../../../inventory/health/reasons.ts';
import { type Known, nextOffer, nothingOffered, type Offered } from '../../../inventory/next-offer.ts';
import { someVf, someVfs } from '../../support/resources.ts';

const direct = 'smartnic.io/direct';
const well: Facts = { quarantined: new Map(), bridges: new Set(), forwardersDown: new Map(), unread: [] };
const pools = (...list: readonly string[]) => parseConfig('pools.yaml', `pools: [${list.join(', ')}]`);
const intel = '{ name: a, vnicType: direct, selectors: [{ vendors: ["8086"] }] }';
const vfs = someVfs([1], 3);
const [first] = vfs.map(({ address }) => address);

function known({ vfs: there = vfs, ...more }: Partial<Known> & { readonly vfs?: readonly Vf[] } = {}): Known {
  const nics = { pfs: there.map(({ pf }) => pf), vfs: there, unread: [] };
  return { config: pools(intel), nics, sockets: new Map(), held: new Map(), facts: well, now: 0, ...more };
}

/** Offers in turn, from nothing on. */
function offers(...looks: readonly Known[]): readonly Offered[] {
  const all: Offered[] = [];
  for (const look of looks) all.push(nextOffer(all.at(-1) ?? nothingOffered, look));
  return all;
}

const units = ({ resources }: Offered) =>
  resources.flatMap(({ units: list }) =>
    list.map(({ id, problems }) => `${id.slice(8)} ${problems.map((one) => one.split(':')[0])}`.trim()),
  );

describe('the next offer', () => {
  it('is the same when nothing has changed, and has no reason to be worked out again', () => {
    const [one, two] = offers(known(), known({ now: 1000 }));
    assert.deepEqual(one, two);
    assert.deepEqual([one?.again, one?.findings, one?.conflicts], [undefined, [], []]);
    assert.deepEqual(one && units(one), ['01.0', '01.1', '01.2']);
  });

  it('has no VF that is gone, unless a pod has it: that is told after a minute, and not at all when it comes back', () => {
    const held = new Map([[`${first}`, direct]]);
    const [, gone, late, back] = offers(
      known({ held }),
      known({ held, vfs: [], now: 1000 }),
      known({ held, vfs: [], now: 61_000 }),
      known({ held, now: 62_000 }),
    );
    assert.deepEqual(gone && units(gone), ['01.0']);
    assert.equal(gone?.again, 61_000);
    assert.deepEqual(
      gone?.findings.map(({ reason, told }) => [reason, told]),
      [
        ['pf-gone', false],
        ['vf-gone', false],
      ],
    );
    assert.deepEqual(late && units(late), ['01.0 pf-gone,vf-gone']);
    assert.deepEqual([late?.again, back?.findings], [undefined, []]);
    assert.deepEqual(back && units(back), ['01.0', '01.1', '01.2']);
  });

  it('follows another configuration at once, and names VFs that fit two of its pools', () => {
    const two = pools(
      intel.replace('name: a', 'name: b, resourceName: other').replace('8086', '15b3'),
      intel.replace('vendors: ["8086"]', 'drivers: [vfio-pci]'),
    );
    const mixed = [someVf(2, 0, { vendor: '15b3' })];
    const [before, after] = offers(known({ vfs: mixed }), known({ vfs: mixed, config: two }));
    assert.deepEqual(before && units(before), []);
    assert.deepEqual(after && units(after), ['01.0']);
    assert.match(after?.conflicts.join() ?? '', /^VF 0000:02:01\.0 .* fits pool b .* and a /);
  });
});
