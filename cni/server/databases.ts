// The connections to OVSDB: one per address, shared by all work. A connection that was not used for a while is closed.
import type { Logger } from '../../host/base/log.ts';
import { type Ovsdb, openOvsdb } from '../../host/ovs/ovsdb.ts';
import { owner } from '../attachment/attachment.ts';
import type { Settings } from '../attachment/settings.ts';

export interface Databases {
  /** The connection is made when it is first needed. Call this again for each piece of work, and don't keep the result. */
  get(address: string): Ovsdb;
  all(): readonly Ovsdb[];
  close(): Promise<void>;
}

export interface DatabasesOptions {
  readonly settings: Pick<Settings, 'ovsdb' | 'ovsdbTls'>;
  readonly log: Logger;
  /** Called when a connection is made. Who needed the first one has waited for it. */
  readonly onBack: (how: 'first' | 'again') => void;
  /** Called when somebody made a bridge. Ports may be missing on it. */
  readonly onBridge?: () => void;
  /** Milliseconds without use after which an address is given up. Default 300 000. */
  readonly idle?: number;
}

/**
 * The connection to the node's own address is kept for good. Other addresses come from networks. Such a connection stays while attachments need
 * it, because the sweep uses it every minute, and it ends after the last of them. So a mistyped address is not dialled for ever.
 */
export function openDatabases({ settings, log, onBack, onBridge = () => {}, idle = 300_000 }: DatabasesOptions): Databases {
  const open = new Map<string, { readonly db: Ovsdb; asked: number }>();
  const tls = settings.ovsdbTls === undefined ? {} : { tls: settings.ovsdbTls };

  const make = (address: string) => {
    const known = { db: openOvsdb(address, { log, owner, ...tls }), asked: 0 };
    open.set(address, known);
    let connects = 0;
    known.db.onConnect(() => onBack(connects++ === 0 ? 'first' : 'again'));
    known.db.onBridge(onBridge);
    return known;
  };

  const closeIdle = () => {
    for (const [address, { db, asked }] of open) {
      if (address === settings.ovsdb || performance.now() - asked < idle) continue;
      open.delete(address);
      log.info({ ovsdb: address }, 'closing the connection to an OVSDB server that nobody needs any more');
      void db[Symbol.asyncDispose]();
    }
  };
  const timer = setInterval(closeIdle, idle / 5).unref();

  return {
    get: (address) => {
      const known = open.get(address) ?? make(address);
      known.asked = performance.now();
      return known.db;
    },
    all: () =>
      open
        .values()
        .map(({ db }) => db)
        .toArray(),
    close: async () => {
      clearInterval(timer);
      for (const { db } of open.values()) await db[Symbol.asyncDispose]();
    },
  };
}
