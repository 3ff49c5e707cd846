// Our copy of the columns in schema.ts. The server keeps it up to date, and rows are found by name without a search.
import type { Json } from './connection.ts';
import { modifyRow, type Row, readRow, record, type TableName, tables, type Value } from './schema.ts';

/** A view of the database as it is now. Ask for it again after every `await`, because a reconnect makes a new one. */
export interface Replica {
  /** The table's only row; absent before `ovs-vsctl init`. */
  openVSwitch(): Row<'Open_vSwitch'> | undefined;
  bridge(name: string): Row<'Bridge'> | undefined;
  port(name: string): Row<'Port'> | undefined;
  interface(name: string): Row<'Interface'> | undefined;
  interfaces(): Iterable<Row<'Interface'>>;
  /** The bridge that a port is in. */
  bridgeOf(port: Row<'Port'>): Row<'Bridge'> | undefined;
  /** The port of an interface. It has the same name, unless the interface is part of a bond. */
  portOf(iface: Row<'Interface'>): Row<'Port'> | undefined;
}

export interface ReplicaCopy extends Replica {
  /** Applies the reply of `monitor_cond` and each `update2` after it (ovsdb-server(7)). Throws on what it can't understand. */
  apply(updates: Json): void;
}

export function emptyReplica(): ReplicaCopy {
  const copies = {
    Open_vSwitch: copyOf('Open_vSwitch'),
    Bridge: copyOf('Bridge'),
    Port: copyOf('Port'),
    Interface: copyOf('Interface'),
  };
  return {
    openVSwitch: () => copies.Open_vSwitch.byUuid.values().next().value,
    bridge: (name) => copies.Bridge.byName.get(name),
    port: (name) => copies.Port.byName.get(name),
    interface: (name) => copies.Interface.byName.get(name),
    interfaces: () => copies.Interface.byUuid.values(),
    bridgeOf: ({ uuid }) => copies.Bridge.byUuid.values().find(({ ports }) => ports.has(uuid)),
    portOf: ({ uuid, name }) => {
      const namesake = copies.Port.byName.get(name);
      return namesake?.interfaces.has(uuid)
        ? namesake
        : copies.Port.byUuid.values().find(({ interfaces }) => interfaces.has(uuid));
    },
    apply: (updates) => {
      const sent = record(updates);
      for (const copy of Object.values(copies)) copy.apply(sent[copy.table] ?? {});
    },
  };
}

interface TableCopy<T extends TableName> {
  readonly table: T;
  readonly byUuid: ReadonlyMap<string, Row<T>>;
  readonly byName: ReadonlyMap<string, Row<T>>;
  apply(rows: Json): void;
}

function copyOf<T extends TableName>(table: T): TableCopy<T> {
  const byUuid = new Map<string, Row<T>>();
  const byName = new Map<string, Row<T>>();
  const named = 'name' in tables[table];

  const put = (uuid: string, row: Readonly<Record<string, Value>>) => {
    // readRow has just checked every column against the table's types.
    const checked = row as unknown as Row<T>;
    byUuid.set(uuid, checked);
    if (named) byName.set(String(row['name']), checked);
  };
  const drop = (uuid: string) => {
    const row = byUuid.get(uuid);
    byUuid.delete(uuid);
    const name = String((row as Readonly<Record<string, Value>> | undefined)?.['name']);
    // One update may delete a row and insert another one of the same name, in any order.
    if (byName.get(name) === row) byName.delete(name);
  };

  const apply = (rows: Json) => {
    for (const [uuid, change] of Object.entries(record(rows))) {
      const { initial, insert, modify } = record(change);
      const whole = initial ?? insert;
      const before = byUuid.get(uuid);
      if (whole !== undefined) put(uuid, readRow(table, uuid, whole));
      else if (modify === undefined) drop(uuid);
      else if (before !== undefined) put(uuid, modifyRow(table, before, modify));
    }
  };
  return { table, byUuid, byName, apply };
}
