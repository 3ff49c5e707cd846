import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Json } from '../../../../host/ovs/ovsdb/connection.ts';
import { emptyReplica } from '../../../../host/ovs/ovsdb/replica.ts';
import { modifyRow, readRow } from '../../../../host/ovs/ovsdb/schema.ts';

describe('rows as OVSDB sends them', () => {
  it('have the default of every column that was left out', () => {
    assert.deepEqual(readRow('Port', 'u', {}), {
      uuid: 'u',
      name: '',
      interfaces: new Set(),
      tag: undefined,
      trunks: new Set(),
      vlan_mode: undefined,
    });
  });

  it('may write a set of one as the element itself', () => {
    const row = readRow('Port', 'u', { interfaces: ['uuid', 'a'], trunks: 7, tag: 3, vlan_mode: ['set', ['trunk']] });
    assert.deepEqual(
      [row['interfaces'], row['trunks'], row['tag'], row['vlan_mode']],
      [new Set(['a']), new Set([7]), 3, 'trunk'],
    );
  });

  it('name table and column of a value that is not of its type', () => {
    const wrong: readonly [Json, RegExp][] = [
      [{ name: 7 }, /Port\.name that is no string/],
      [{ tag: 'x' }, /Port\.tag that is no integer\?/],
      [{ interfaces: ['set', ['a']] }, /Port\.interfaces that is no uuids/],
      [{ trunks: null }, /Port\.trunks that is no integers/],
    ];
    for (const [json, message] of wrong) assert.throws(() => readRow('Port', 'u', json), message);
    for (const noMap of [
      ['set', []],
      ['map', [['a']]],
    ])
      assert.throws(() => readRow('Interface', 'u', { external_ids: noMap }), /Interface\.external_ids that is no map/);
    assert.throws(() => readRow('Port', 'u', 'row'), /it sent "row"/);
  });

  it('are after a difference what the server has: sets by element, maps by pair, all else whole', () => {
    const port = fc.record({
      tag: fc.option(fc.nat({ max: 4095 })),
      trunks: fc.uniqueArray(fc.nat({ max: 20 })),
      external_ids: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__'), fc.constantFrom('1', '2')),
    });
    fc.assert(
      fc.property(port, port, (before, after) => {
        for (const table of ['Port', 'Interface'] as const) {
          const row = modifyRow(table, readRow(table, 'u', sent(before)), difference(before, after));
          assert.deepEqual(row, readRow(table, 'u', sent(after)));
        }
      }),
    );
  });
});

describe('the replica', () => {
  const a = { initial: { name: 'a', interfaces: ['uuid', 'ia'] } };

  it('finds rows by name, and keeps the new one when a name is deleted and inserted in one update', () => {
    for (const order of [
      ['old', 'new'],
      ['new', 'old'],
    ] as const) {
      const replica = emptyReplica();
      replica.apply({ Port: { old: a } });
      const changes: Record<string, Json> = { old: { delete: null }, new: { insert: { name: 'a', tag: 5 } } };
      replica.apply({ Port: Object.fromEntries(order.map((uuid) => [uuid, changes[uuid] ?? null])) });
      assert.equal(replica.port('a')?.uuid, 'new');
      replica.apply({ Port: { new: { delete: null } } });
      assert.equal(replica.port('a'), undefined);
    }
  });

  it('knows the port of an interface and the bridge of a port, in a bond too', () => {
    const replica = emptyReplica();
    replica.apply({
      Bridge: {
        b0: { initial: { name: 'other' } },
        b1: {
          initial: {
            name: 'br',
            ports: [
              'set',
              [
                ['uuid', 'pa'],
                ['uuid', 'pb'],
              ],
            ],
          },
        },
      },
      Port: {
        pa: a,
        pb: {
          initial: {
            name: 'bond',
            interfaces: [
              'set',
              [
                ['uuid', 'i1'],
                ['uuid', 'i2'],
              ],
            ],
          },
        },
      },
      Interface: { ia: { initial: { name: 'a' } }, i2: { initial: { name: 'eth2' } }, lost: { initial: { name: 'lost' } } },
    });
    const bridgeOf = (name: string) => {
      const row = replica.interface(name);
      const port = row && replica.portOf(row);
      return [port?.name, port && replica.bridgeOf(port)?.name];
    };
    assert.deepEqual(
      [bridgeOf('a'), bridgeOf('eth2'), bridgeOf('lost')],
      [
        ['a', 'br'],
        ['bond', 'br'],
        [undefined, undefined],
      ],
    );
  });
});

interface Sample {
  readonly tag: number | null;
  readonly trunks: readonly number[];
  readonly external_ids: Readonly<Record<string, string>>;
}

function sent({ tag, trunks, external_ids }: Sample): { readonly [column: string]: Json } {
  return { name: 'p', tag: tag ?? ['set', []], trunks: ['set', trunks], external_ids: ['map', Object.entries(external_ids)] };
}

/** As ovsdb-server(7) says of `modify`, written a second time so that it can judge. */
function difference(before: Sample, after: Sample): { readonly [column: string]: Json } {
  const trunks = [...before.trunks, ...after.trunks].filter(
    (vlan) => before.trunks.includes(vlan) !== after.trunks.includes(vlan),
  );
  const kept = (key: string) => Object.hasOwn(after.external_ids, key);
  const gone = Object.entries(before.external_ids).filter(([key]) => !kept(key));
  const put = Object.entries(after.external_ids).filter(
    ([key, value]) => !Object.hasOwn(before.external_ids, key) || before.external_ids[key] !== value,
  );
  return {
    ...(before.tag === after.tag ? {} : { tag: after.tag ?? ['set', []] }),
    ...(trunks.length === 0 ? {} : { trunks: ['set', trunks] }),
    ...(gone.length + put.length === 0 ? {} : { external_ids: ['map', [...gone, ...put]] }),
  };
}
