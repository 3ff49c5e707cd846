// Networks of other plugins: what we answer to them as they are, what they become, and that docs/coming-from.md has every key of theirs.
import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { parseNetworkConfig } from '../../network/keys.ts';
import { keysOfPeers, noteOnKey } from '../../network/peer-keys.ts';
import { codeIn, rowsOf, sectionOf } from '../support/pages.ts';
import { examples } from './networks.ts';

const network = (config: object) =>
  parseNetworkConfig({ cniVersion: '1.0.0', name: 'n', ...config, type: 'smartnic' }, { lenient: false });

/** Why it is refused, or undefined. */
function refusalOf(config: object): string | undefined {
  try {
    network(config);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

describe('a network of another plugin', () => {
  for (const { of, what, theirs, said, ours } of examples) {
    it(`${of}, ${what}: ${said === undefined ? 'is taken as it is' : 'is refused with what to write'}`, () => {
      const refusal = refusalOf(theirs);
      if (said === undefined) equal(refusal, undefined);
      else match(refusal ?? 'taken', said);
    });
    it(`${of}, ${what}: becomes one that is taken`, () => void network(ours));
  }

  it('is told whose each key is and what to do, in the error that lists ours', () => {
    throws(
      () => network({ bridge: 'b', max_tx_rate: 1, nonsense: 2 }),
      /unknown key "max_tx_rate" \(sriov-cni's: write "maxTxRate"\), "nonsense"; known keys: .*bridge, /,
    );
  });
});

describe('docs/coming-from.md', () => {
  const ours = /known keys: (.*)$/.exec(refusalOf({ bridge: 'b', nonsense: 1 }) ?? '')?.[1]?.split(', ') ?? [];
  const rows = ['sriov-cni', 'ovs-cni', 'userspace-cni'].flatMap((peer) =>
    rowsOf(sectionOf('docs/coming-from.md', `## ${peer}`)).map(([there = '', here = '']) => ({
      peer,
      keys: codeIn(there),
      here,
    })),
  );

  it('has every key of another plugin that an error speaks of', () => {
    for (const [key, of] of keysOfPeers)
      ok(
        rows.some(({ peer, keys }) => peer === of && keys.includes(key)),
        `${of}: ${key}`,
      );
  });

  for (const { peer, keys, here } of rows)
    it(`${peer}, ${keys.join(', ')}: ${here || 'nothing'}`, () => {
      for (const [at, key] of keys.entries()) {
        if (here === 'the same') {
          ok(ours.includes(key) || key === 'deviceID', `${key} is no key of ours`);
          equal(noteOnKey(key), undefined);
          continue;
        }
        match(refusalOf({ bridge: 'b', [key]: 'x' }) ?? 'taken', new RegExp(`unknown key "${key}" \\(\\S+-cni's: `));
        const [, , known] = keysOfPeers.find(([name]) => name === key) ?? [];
        equal(codeIn(here)[codeIn(here).length === 1 ? 0 : at], known);
        if (known !== undefined) ok(ours.includes(known), `${known} is no key of ours`);
      }
    });

  it('names only keys that there are', () => {
    deepEqual(
      keysOfPeers.flatMap(([, , known]) => (known === undefined || ours.includes(known) ? [] : [known])),
      [],
    );
  });
});
