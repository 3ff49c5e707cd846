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
  /** The same for an address where nobody answers now. Default 30 000. */
  readonly idleAway?: number;
  /** How many addresses of networks are open at the same time. Default 32. */
  readonly most?: number;
}

interface Known {
  readonly db: Ovsdb;
  /** When it was last asked for. */
  asked: number;
}

/**
 * The connection to the node's own address is kept for good. Other addresses come from networks. Such a connection stays while attachments need
 * it, because the sweep uses it every minute, and it ends after the last of them. So a mistyped address is not dialled for ever, and whoever
 * writes many addresses into networks makes the server dial only some of them at the same time.
 */
export function openDatabases({ settings, log, onBack, onBridge = () => {}, ...limits }: DatabasesOptions): Databases {
  const { idle = 300_000, idleAway = 30_000, most = 32 } = limits;
  const open = new Map<string, Known>();
  const tls = settings.ovsdbTls === undefined ? {} : { tls: settings.ovsdbTls };

  const make = (address: string) => {
    const known = { db: openOvsdb(address, { log, owner, ...tls }), asked: 0 };
    if (address !== settings.ovsdb) makeRoom();
    open.set(address, known);
    let connects = 0;
    known.db.onConnect(() => onBack(connects++ === 0 ? 'first' : 'again'));
    known.db.onBridge(onBridge);
    return known;
  };

  const ofNetworks = () => [...open].filter(([address]) => address !== settings.ovsdb);
  const give = (address: string, db: Ovsdb, why: string) => {
    open.delete(address);
    log.info({ ovsdb: address }, why);
    void db[Symbol.asyncDispose]();
  };
  const closeIdle = () => {
    for (const [address, { db, asked }] of ofNetworks())
      if (performance.now() - asked >= (db.problem === undefined ? idle : idleAway))
        give(address, db, 'closing the connection to an OVSDB server that nobody needs any more');
  };
  /** Whoever waits for the one that is closed is told to try again. */
  const makeRoom = () => {
    const others = ofNetworks().toSorted(([, a], [, b]) => Number(isAway(b)) - Number(isAway(a)) || a.asked - b.asked);
    for (const [address, { db }] of others.slice(0, Math.max(0, others.length - most + 1)))
      give(address, db, `closing the connection to an OVSDB server, because networks name more than ${most}`);
  };
  const timer = setInterval(closeIdle, Math.min(idle, idleAway) / 5).unref();

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

function isAway({ db }: Known): boolean {
  return db.problem !== undefined;
}
