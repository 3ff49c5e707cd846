// The connections to OVSDB: one per address, shared by all that runs.
import type { Logger } from '../../host/base/log.ts';
import { type Ovsdb, openOvsdb } from '../../host/ovs/ovsdb.ts';
import type { Settings } from '../attachment/settings.ts';

/** One connection per address, kept for good; `onBack` when one was lost and is there again. */
export function openDatabases({ ovsdbTls }: Settings, log: Logger, onBack: () => void) {
  const open = new Map<string, Ovsdb>();
  const get = (address: string): Ovsdb => {
    const known = open.get(address);
    if (known !== undefined) return known;
    const db = openOvsdb(address, { log, ...(ovsdbTls === undefined ? {} : { tls: ovsdbTls }) });
    db.onConnect(onBack);
    open.set(address, db);
    return db;
  };
  return {
    get,
    all: () => [...open.values()],
    close: async () => {
      for (const db of open.values()) await db[Symbol.asyncDispose]();
    },
  };
}
