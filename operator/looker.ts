// Opens what the commands for a person look at: the machine, the databases and the journal. It needs no server and changes nothing.
import { owner } from '../cni/attachment/attachment.ts';
import { viewJournal } from '../cni/attachment/journal.ts';
import type { Settings } from '../cni/attachment/settings.ts';
import type { Looker } from '../cni/teardown/sweep.ts';
import { makeLock } from '../host/base/lock.ts';
import { openLog } from '../host/base/log.ts';
import type { Host } from '../host/host.ts';
import { readBootId } from '../host/kernel/boot-id.ts';
import { openNetlink } from '../host/netlink/netlink.ts';
import { type Ovsdb, openOvsdb } from '../host/ovs/ovsdb.ts';
import { run } from '../host/program/run.ts';

export function openLooker(settings: Settings): Looker & AsyncDisposable {
  const open = new Map<string, Ovsdb>();
  const log = openLog('silent');
  const tls = settings.ovsdbTls === undefined ? {} : { tls: settings.ovsdbTls };
  const ovsdb = (address: string): Ovsdb => {
    const db = open.get(address) ?? openOvsdb(address, { log, owner, ...tls });
    open.set(address, db);
    return db;
  };
  const host: Host = { root: '/', log, run, netlink: openNetlink, ovsdb, step: () => {} };
  return {
    ...{ host, settings, journal: viewJournal(settings.stateDir), lock: makeLock() },
    bootId: readBootId(),
    async [Symbol.asyncDispose]() {
      for (const db of open.values()) await db[Symbol.asyncDispose]();
    },
  };
}
