// The MTU that a bridge's ports get where the network names none. It must not depend on the pods that are on the bridge now, because Open
// vSwitch lowers the MTU of the bridge's own interface to that of its smallest port.
import type { Json } from './ovsdb/connection.ts';
import { map, type Operation } from './ovsdb/operations.ts';
import { type Row, readRow, record } from './ovsdb/schema.ts';
import type { Ovsdb } from './ovsdb.ts';

/**
 * The MTU in bytes that an admin requested for the bridge (`mtu_request` of its interface), or else the MTU of its smallest uplink. Undefined
 * when there is neither.
 * @param owner - the external_ids' `owner` of our own interfaces, which are no uplinks.
 */
export async function findDefaultMtu(db: Ovsdb, name: string, owner: string): Promise<number | undefined> {
  const asked = (await db.replica()).interface(name)?.mtu_request;
  if (asked !== undefined) return asked;
  const [netdevs, ofPods] = await db.transact(lookups(owner));
  const replica = await db.replica();
  const bridge = replica.bridge(name);
  const pods = new Set(rowsOf(ofPods).map((row) => row['name']));
  const mtus = rowsOf(netdevs)
    .map(readInterface)
    .flatMap((each) => {
      const port = replica.portOf(each);
      const isUplink = port !== undefined && bridge?.ports.has(port.uuid) && !pods.has(port.name) && !isPlugged(each);
      return isUplink && each.mtu !== undefined ? [each.mtu] : [];
    });
  return mtus.length === 0 ? undefined : Math.min(...mtus);
}

/** Uplinks are not in the replica. So this selects the netdevs of others, and ovs-cni's ports, which carry the mark on Port, not on Interface. */
function lookups(owner: string): readonly Operation[] {
  const columns = ['_uuid', 'name', 'mtu', 'external_ids'];
  return [
    {
      op: 'select',
      table: 'Interface',
      where: [
        ['type', '==', ''],
        ['external_ids', 'excludes', map({ owner })],
      ],
      columns,
    },
    {
      op: 'select',
      table: 'Port',
      where: [['external_ids', 'includes', map({ owner: 'ovs-cni.network.kubevirt.io' })]],
      columns: ['name'],
    },
  ];
}

/** Whoever plugs the interface of a pod or VM marks it with one of these keys: Neutron, OVN and the like. */
function isPlugged({ external_ids }: Row<'Interface'>): boolean {
  return ['iface-id', 'attached-mac', 'contIface'].some((key) => external_ids.has(key));
}

function readInterface(row: { readonly [column: string]: Json }): Row<'Interface'> {
  const { _uuid: uuid } = row;
  // readRow has just checked every column. Columns that were not selected have their defaults.
  return readRow('Interface', Array.isArray(uuid) ? String(uuid[1]) : '', row) as unknown as Row<'Interface'>;
}

function rowsOf(selected: Json | undefined) {
  const { rows } = record(selected);
  return Array.isArray(rows) ? rows.map(record) : [];
}
