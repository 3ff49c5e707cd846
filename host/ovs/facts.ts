// What Open vSwitch is and how it is configured, for a diagnosis. It is read once. Plugging uses the replica instead.

import type { Json } from './ovsdb/connection.ts';
import { record } from './ovsdb/schema.ts';
import type { Ovsdb } from './ovsdb.ts';

export interface OvsFacts {
  /** For example `3.1.0`, as ovs-ctl writes it at the start. Empty where ovs-ctl has not written it. */
  readonly version: string;
  readonly otherConfig: Readonly<Record<string, string>>;
  readonly bridges: readonly { readonly name: string; readonly datapathType: string }[];
}

/** Throws Unavailable when OVSDB does not answer. */
export async function readOvsFacts(db: Ovsdb): Promise<OvsFacts> {
  const [settings, bridges] = await db.transact([
    { op: 'select', table: 'Open_vSwitch', where: [], columns: ['ovs_version', 'other_config'] },
    { op: 'select', table: 'Bridge', where: [], columns: ['name', 'datapath_type'] },
  ]);
  const [row] = rowsOf(settings);
  return {
    version: textOf(row?.['ovs_version']),
    otherConfig: Object.fromEntries(pairsOf(row?.['other_config'])),
    bridges: rowsOf(bridges)
      .map((one) => ({ name: textOf(one['name']), datapathType: textOf(one['datapath_type']) || 'system' }))
      .toSorted((a, b) => a.name.localeCompare(b.name)),
  };
}

function rowsOf(selected: Json | undefined): readonly { readonly [column: string]: Json }[] {
  const { rows } = record(selected);
  return Array.isArray(rows) ? rows.map(record) : [];
}

/** An absent optional string is `["set",[]]`. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** `["map",[["hw-offload","true"]]]` */
function pairsOf(value: Json | undefined): readonly (readonly [string, string])[] {
  const pairs = Array.isArray(value) && value[0] === 'map' && Array.isArray(value[1]) ? value[1] : [];
  return pairs.flatMap((pair) => (Array.isArray(pair) ? [[textOf(pair[0]), textOf(pair[1])] as const] : []));
}
