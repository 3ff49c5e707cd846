// For work that removes the ports of many interfaces side by side. Each transaction makes ovs-vswitchd look at all its ports, so the ports that
// are to go at the same time go in one.
import { gathered } from '../base/gathered.ts';
import { removePorts } from './bridge.ts';
import { TransactionError } from './ovsdb/operations.ts';
import type { Ovsdb } from './ovsdb.ts';

interface Wanted {
  readonly db: Ovsdb;
  readonly names: readonly string[];
}

/**
 * Returns a removePorts whose calls wait for each other: while one transaction is under way, the names of later calls are gathered for the next
 * one. Each database has transactions of its own. When the server refuses ports together, each call's ports are tried alone.
 */
export function removingTogether(): typeof removePorts {
  const databases = new Map<string, (wanted: Wanted) => Promise<readonly string[]>>();
  return async (db, names) => {
    const remove = databases.get(db.address) ?? gathered(removeAll);
    databases.set(db.address, remove);
    try {
      const removed = await remove({ db, names });
      return removed.filter((name) => names.includes(name));
    } catch (error) {
      if (error instanceof TransactionError) return await removePorts(db, names);
      throw error;
    }
  };
}

/** By the last one's connection, because it is the newest. */
async function removeAll(all: readonly Wanted[]): Promise<readonly string[]> {
  const newest = all.at(-1);
  if (newest === undefined) return [];
  return await removePorts(
    newest.db,
    all.flatMap(({ names }) => names),
  );
}
