// Preferred allocation as a table of cases, and its rules on random requests.
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import { preferred } from '../../../../device-plugin/answers/preferred.ts';
import type { Snapshot } from '../../../../device-plugin/answers/snapshot.ts';
import type { Resource } from '../../../../inventory/offer/resource.ts';
import { someResource, someVfs, withProblems } from '../../../support/resources.ts';

const direct = 'smartnic.io/direct';
const forwarder = 'smartnic.io/virtio-forwarder';
const vfs = someVfs([1, 2, 3], 4);
const all: readonly string[] = vfs.map((vf) => vf.address);

function offering(resources: readonly Resource[], held: Readonly<Record<string, string>> = {}): Snapshot {
  return {
    resources,
    holdings: new Map(Object.entries(held).map(([id, resource]) => [id, { resource, since: 0, named: true }])),
  };
}
function choose(snapshot: Snapshot, name: string, size: number, mustInclude: readonly string[] = [], available = all): string {
  const chosen = preferred(snapshot, name, { available, mustInclude, size });
  // bus 01, slot 01, function 2 as 1.2
  return chosen.map((id) => `${Number.parseInt(id.slice(5, 7), 16)}.${id.slice(-1)}`).join(' ');
}

describe('preferred allocation', () => {
  const packed = someResource(direct, vfs);
  const spread = someResource(direct, vfs, { allocation: 'spread' });

  it('packs: fills one pf before it begins another', () => {
    assert.equal(choose(offering([packed]), direct, 6), '1.0 1.1 1.2 1.3 2.0 2.1');
  });

  it('packs onto the pf that has most in use already', () => {
    assert.equal(choose(offering([packed], { '0000:03:01.1': direct }), direct, 2, [], without('0000:03:01.1')), '3.0 3.2');
  });

  it('spreads over the pfs', () => {
    assert.equal(choose(offering([spread]), direct, 6), '1.0 2.0 3.0 1.1 2.1 3.1');
  });

  it('spreads away from the pfs that have most in use', () => {
    const held = { '0000:01:01.0': direct, '0000:01:01.1': direct, '0000:02:01.0': direct };
    assert.equal(choose(offering([spread], held), direct, 3, [], without(...Object.keys(held))), '3.0 2.1 3.1');
  });

  it('keeps what must be included, and packs around it', () => {
    assert.equal(choose(offering([packed]), direct, 3, ['0000:02:01.2']), '2.2 2.0 2.1');
  });

  it('begins at opposite ends for the two types that share vfs', () => {
    const snapshot = offering([packed, someResource(forwarder, vfs)]);
    assert.equal(choose(snapshot, direct, 2), '1.0 1.1');
    assert.equal(choose(snapshot, forwarder, 2), '3.3 3.2');
  });

  it('takes vfs that no other name offers before the shared ones', () => {
    const snapshot = offering([packed, someResource(forwarder, vfs.slice(0, 10))]);
    assert.equal(choose(snapshot, direct, 3), '3.2 3.3 3.0');
  });

  it('never advises what Allocate would refuse, also when kubelet thinks that it is available', () => {
    const snapshot = offering([withProblems(packed, '0000:01:01.0', 'vf-gone'), someResource(forwarder, vfs)], {
      '0000:01:01.1': forwarder,
    });
    assert.equal(choose(snapshot, direct, 3, [], [...all.slice(0, 3), '0000:09:01.0']), '1.2');
  });

  it('advises only what is available, each once, all that must be included, and never more than asked for', () => {
    const subset = fc.subarray(all as string[]);
    fc.assert(
      fc.property(subset, subset, fc.nat(14), fc.boolean(), (available, held, size, pack) => {
        const snapshot = offering([pack ? packed : spread], Object.fromEntries(held.map((id) => [id, direct])));
        const mustInclude = available.slice(0, Math.min(2, size));
        const chosen = preferred(snapshot, direct, { available, mustInclude, size });
        assert.ok(chosen.every((id) => available.includes(id)));
        assert.ok(mustInclude.every((id) => chosen.includes(id)));
        assert.equal(new Set(chosen).size, chosen.length);
        assert.equal(chosen.length, Math.min(size, available.length));
      }),
    );
  });
});

function without(...ids: readonly string[]): string[] {
  return all.filter((id) => !ids.includes(id));
}
