import assert from 'node:assert/strict';
import { type Operation, readResults, TransactionError } from '../../../../host/ovs/ovsdb/operations.ts';
import { addPortOperations, addPortRefusal, nextConfig, removePortsOperations } from '../../../../host/ovs/transactions.ts';

describe('the transaction that adds a port', () => {
  const port = { bridge: 'br-int', name: 'sn 0/1"é', externalIds: { 'iface-id': 'x' } };

  it('asserts its conditions first, then inserts interface and port and puts the port into the bridge', () => {
    const [bridge, freePort, freeInterface, ...changes] = addPortOperations(port);
    const holds = (table: string, name: string, rows: readonly unknown[]) => ({
      ...{ op: 'wait', table, where: [['name', '==', name]], columns: ['name'], until: '==', rows, timeout: 0 },
    });
    assert.deepEqual(bridge, holds('Bridge', 'br-int', [{ name: 'br-int' }]));
    assert.deepEqual(freePort, holds('Port', port.name, []));
    assert.deepEqual(freeInterface, holds('Interface', port.name, []));
    assert.deepEqual(changes.slice(0, 3), [
      {
        op: 'insert',
        table: 'Interface',
        'uuid-name': 'iface',
        row: { name: port.name, type: '', options: ['map', []], external_ids: ['map', [['iface-id', 'x']]] },
      },
      {
        op: 'insert',
        table: 'Port',
        'uuid-name': 'port',
        row: { name: port.name, interfaces: ['named-uuid', 'iface'], vlan_mode: 'access' },
      },
      {
        op: 'mutate',
        table: 'Bridge',
        where: [['name', '==', 'br-int']],
        mutations: [['ports', 'insert', ['set', [['named-uuid', 'port']]]]],
      },
    ]);
  });

  it('takes names of rows that are identifiers, whatever the port is called', () => {
    const names = addPortOperations(port).flatMap((operation) => (operation.op === 'insert' ? [operation['uuid-name']] : []));
    assert.equal(names.length, 2);
    for (const name of names) assert.match(name, /^[a-zA-Z_][a-zA-Z0-9_]*$/);
  });

  it('makes an access port of a VLAN, a trunk port of a trunk, native-untagged of both, and else leaves VLANs to the agent', () => {
    const vlans = (given: { readonly vlan?: number; readonly trunk?: readonly number[] | 'all' }) => {
      const { name, interfaces, ...columns } = rowOf(addPortOperations({ ...port, ...given }), 'Port');
      return columns;
    };
    assert.deepEqual(vlans({}), { vlan_mode: 'access' });
    assert.deepEqual(vlans({ trunk: 'all' }), { vlan_mode: 'trunk' });
    assert.deepEqual(vlans({ vlan: 7, trunk: 'all' }), { tag: 7, vlan_mode: 'native-untagged' });
    assert.deepEqual(vlans({ vlan: 0 }), { tag: 0, vlan_mode: 'access' });
    assert.deepEqual(vlans({ vlan: 7 }), { tag: 7, vlan_mode: 'access' });
    assert.deepEqual(vlans({ trunk: [3, 4] }), { trunks: ['set', [3, 4]], vlan_mode: 'trunk' });
    assert.deepEqual(vlans({ vlan: 7, trunk: [3] }), { tag: 7, trunks: ['set', [3]], vlan_mode: 'native-untagged' });
  });

  it('asks for an MTU, a type and options only when they are given', () => {
    const row = rowOf(
      addPortOperations({ ...port, type: 'dpdkvhostuserclient', options: { a: 'b' }, mtuRequest: 9000 }),
      'Interface',
    );
    assert.deepEqual([row['type'], row['options'], row['mtu_request']], ['dpdkvhostuserclient', ['map', [['a', 'b']]], 9000]);
  });

  it('is refused in words: which bridge is missing, which name is taken', () => {
    assert.match(addPortRefusal(port, 0) ?? '', /no bridge br-int/);
    assert.match(addPortRefusal(port, 1) ?? '', /port sn 0\/1"é exists already/);
    assert.match(addPortRefusal(port, 2) ?? '', /interface .* exists already/);
    assert.equal(addPortRefusal(port, 3), undefined);
  });
});

describe('other transactions', () => {
  it('remove ports of several bridges at once, by uuid', () => {
    const operations = removePortsOperations(
      new Map([
        ['b1', ['p1', 'p2']],
        ['b2', ['p3']],
      ]),
      ['x', 'y', 'z'],
    );
    assert.deepEqual(operations.slice(0, 2), [mutation('b1', ['p1', 'p2']), mutation('b2', ['p3'])]);
    assert.deepEqual(operations.slice(2), [{ op: 'comment', comment: 'smartnic: remove ports x y z' }]);
  });

  it('read the configuration number, and say so where the database has none', () => {
    assert.equal(nextConfig({ rows: [{ next_cfg: 12 }] }), 12);
    for (const other of [undefined, null, {}, { rows: [] }, { rows: [{ next_cfg: 'x' }] }])
      assert.throws(() => nextConfig(other), Error);
  });
});

describe('the answer to a transaction', () => {
  const operations = addPortOperations({ bridge: 'b', name: 'p', externalIds: {} });

  it('is a result for each operation', () => {
    assert.deepEqual(readResults(operations, [{}, { count: 1 }]), [{}, { count: 1 }]);
  });

  it('is an error with the table, the error and its details, and which operation it was', () => {
    const refused = (reply: readonly (null | Record<string, string>)[], message: string, operation: number) =>
      assert.throws(
        () => readResults(operations, reply),
        (error) => error instanceof TransactionError && error.message === message && error.operation === operation,
      );
    refused([{}, { error: 'timed out', details: '"wait" timed out' }, null], 'ovsdb: Port: timed out: "wait" timed out', 1);
    refused([{ error: 'not owner' }], 'ovsdb: Bridge: not owner', 0);
    const all = operations.map(() => ({}));
    refused(
      [...all, { error: 'constraint violation', details: 'twice' }],
      'ovsdb: commit: constraint violation: twice',
      all.length,
    );
  });

  it('is nothing but a list', () => {
    assert.throws(() => readResults(operations, { a: 1 }), /\{"a":1\}/);
  });
});

function rowOf(operations: readonly Operation[], table: string) {
  for (const operation of operations) if (operation.op === 'insert' && operation.table === table) return operation.row;
  throw new Error(`nothing is inserted into ${table}`);
}

function mutation(bridge: string, ports: readonly string[]) {
  const mutations = [['ports', 'delete', ['set', ports.map((port) => ['uuid', port])]]];
  return { op: 'mutate', table: 'Bridge', where: [['_uuid', '==', ['uuid', bridge]]], mutations };
}
