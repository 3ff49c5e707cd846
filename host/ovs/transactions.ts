// The transactions that create and remove bridges and ports. Pure: what is sent, and what the server's refusal means.
import type { Json } from './ovsdb/connection.ts';
import { map, namedUuid, type Operation, set, uuid } from './ovsdb/operations.ts';
import { record } from './ovsdb/schema.ts';

/** A port with one interface of the same name. */
export interface NewPort {
  readonly bridge: string;
  readonly name: string;
  /** The interface's type in ovs-vswitchd.conf.db(5). Default: the interface is a netdev that exists already. */
  readonly type?: string;
  readonly options?: Readonly<Record<string, string>>;
  /** The interface's external_ids. */
  readonly externalIds: Readonly<Record<string, string>>;
  /** 0-4095. Without `trunk`, the port is an access port. With `trunk`, this is the VLAN of untagged frames. */
  readonly vlan?: number;
  /** The VLANs that are carried with their tags. Absent: none, so a tagged frame goes nowhere. */
  readonly trunk?: readonly number[] | 'all';
  /** Bytes, for interfaces whose MTU ovs-vswitchd sets. */
  readonly mtuRequest?: number;
  /** What changes on other interfaces in the same transaction. */
  readonly others?: IdChange;
}

/** A change of the external_ids of all interfaces that have certain ones. */
export interface IdChange {
  /** The interface has all of these. */
  readonly where: Readonly<Record<string, string>>;
  /** Nothing is changed when an interface has all of these. */
  readonly unless?: Readonly<Record<string, string>>;
  /** The keys that go. */
  readonly remove: readonly string[];
  /** What is set, whether the interface has the key already or not. */
  readonly set: Readonly<Record<string, string>>;
}

/** One transaction: the bridge exists, the name is free, insert interface and port, add the port to the bridge. */
export function addPortOperations(port: NewPort): readonly Operation[] {
  const { bridge, name, type = '', options = {}, externalIds, mtuRequest, others } = port;
  return [
    present('Bridge', bridge),
    absent('Port', name),
    absent('Interface', name),
    // It comes before the insertion, so that the new interface is not changed too.
    ...(others === undefined ? [] : changeIdsOperations(others)),
    {
      op: 'insert',
      table: 'Interface',
      'uuid-name': 'iface',
      row: {
        name,
        type,
        options: map(options),
        external_ids: map(externalIds),
        ...(mtuRequest === undefined ? {} : { mtu_request: mtuRequest }),
      },
    },
    { op: 'insert', table: 'Port', 'uuid-name': 'port', row: { name, interfaces: namedUuid('iface'), ...vlanColumns(port) } },
    {
      op: 'mutate',
      table: 'Bridge',
      where: [['name', '==', bridge]],
      mutations: [['ports', 'insert', set([namedUuid('port')])]],
    },
    { op: 'comment', comment: `smartnic: add port ${name} to ${bridge}` },
  ];
}

/** The operator's error when the server refused one of addPortOperations. Undefined unless one of our own conditions failed. */
export function addPortRefusal({ bridge, name }: NewPort, operation: number): string | undefined {
  const reasons = [
    `there is no bridge ${bridge} in Open vSwitch; create it (ovs-vsctl add-br ${bridge}) or correct the network's "bridge"`,
    `a port ${name} exists already in Open vSwitch; ovs-vsctl port-to-br ${name} says where`,
    `an interface ${name} exists already in Open vSwitch; ovs-vsctl iface-to-br ${name} says where`,
  ];
  return reasons[operation];
}

/** A bridge with its local port. */
export function createBridgeOperations(name: string, datapathType: string): readonly Operation[] {
  return [
    absent('Bridge', name),
    absent('Port', name),
    absent('Interface', name),
    { op: 'insert', table: 'Interface', 'uuid-name': 'iface', row: { name, type: 'internal' } },
    { op: 'insert', table: 'Port', 'uuid-name': 'port', row: { name, interfaces: namedUuid('iface') } },
    {
      op: 'insert',
      table: 'Bridge',
      'uuid-name': 'bridge',
      row: { name, datapath_type: datapathType, ports: set([namedUuid('port')]) },
    },
    { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['bridges', 'insert', set([namedUuid('bridge')])]] },
    { op: 'comment', comment: `smartnic: add bridge ${name}` },
  ];
}

/** Removes a bridge from the configuration. OVSDB drops its ports with it. */
export function removeBridgeOperations(bridge: string, name: string): readonly Operation[] {
  return [
    { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['bridges', 'delete', set([uuid(bridge)])]] },
    { op: 'comment', comment: `smartnic: remove bridge ${name}` },
  ];
}

/** Removes ports, by uuid, from their bridges. OVSDB drops rows that nothing refers to. `names` are for the server's log. */
export function removePortsOperations(
  portsOfBridges: ReadonlyMap<string, readonly string[]>,
  names: readonly string[],
): readonly Operation[] {
  const mutations = [...portsOfBridges].map(
    ([bridge, ports]): Operation => ({
      op: 'mutate',
      table: 'Bridge',
      where: [['_uuid', '==', uuid(bridge)]],
      mutations: [['ports', 'delete', set(ports.map(uuid))]],
    }),
  );
  return [...mutations, { op: 'comment', comment: `smartnic: remove ports ${names.join(' ')}` }];
}

/** The condition `unless` comes first, so its operation is the first one. */
export function changeIdsOperations({ where, unless, remove, set: ids }: IdChange): readonly Operation[] {
  const none: readonly Operation[] =
    unless === undefined
      ? []
      : [
          {
            ...{ op: 'wait', table: 'Interface', where: [['external_ids', 'includes', map(unless)]], columns: ['name'] },
            ...{ until: '==', rows: [], timeout: 0 },
          },
        ];
  return [
    ...none,
    {
      op: 'mutate',
      table: 'Interface',
      where: [['external_ids', 'includes', map(where)]],
      mutations: [
        ['external_ids', 'delete', set([...remove, ...Object.keys(ids)])],
        ['external_ids', 'insert', map(ids)],
      ],
    },
  ];
}

/** Asks ovs-vswitchd for a sign of life: it copies next_cfg to cur_cfg. */
export function nextConfigOperations(): readonly Operation[] {
  return [
    { op: 'mutate', table: 'Open_vSwitch', where: [], mutations: [['next_cfg', '+=', 1]] },
    { op: 'select', table: 'Open_vSwitch', where: [], columns: ['next_cfg'] },
  ];
}

/** The number that nextConfigOperations wrote, from its second result. */
export function nextConfig(selected: Json | undefined): number {
  const rows = record(selected)['rows'];
  const number = Array.isArray(rows) && rows.length === 1 ? record(rows[0])['next_cfg'] : undefined;
  if (typeof number === 'number') return number;
  throw new Error('the database Open_vSwitch has no row yet; has Open vSwitch ever been started (ovs-vsctl init)?');
}

/**
 * The mode is always written, because Open vSwitch treats a port without tag and mode as a trunk of all VLANs. The tag of an untagged port stays
 * empty, so that an agent such as Neutron's may own it. A trunk with no `trunks` carries all VLANs (ovs-vswitchd.conf.db(5), "VLAN Configuration").
 */
function vlanColumns({ vlan, trunk }: NewPort) {
  const tag = vlan === undefined ? {} : { tag: vlan };
  if (trunk === undefined) return { ...tag, vlan_mode: 'access' };
  const trunks = trunk === 'all' ? {} : { trunks: set(trunk) };
  return { ...tag, ...trunks, vlan_mode: vlan === undefined ? 'trunk' : 'native-untagged' };
}

const present = (table: string, name: string) => named(table, name, [{ name }]);
const absent = (table: string, name: string) => named(table, name, []);

function named(table: string, name: string, rows: readonly { readonly name: string }[]): Operation {
  return { op: 'wait', table, where: [['name', '==', name]], columns: ['name'], until: '==', rows, timeout: 0 };
}
