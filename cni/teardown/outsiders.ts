// Work on many interfaces, such as a sweep, asks nobody again who has not answered. So a silent API server, an IPAM plugin that hangs or a
// forwarder that is away costs its limit once, and not once for each interface.
import { TimedOut, Unavailable } from '../../host/base/errors.ts';
import type { Host } from '../../host/host.ts';
import type { Ovsdb } from '../../host/ovs/ovsdb.ts';

/** The names of those who have not answered. */
export type Silent = Set<string>;

/** Throws what `ask` throws. Throws Unavailable at once when `name` has not answered before. */
export async function unlessSilent<T>(silent: Silent, name: string, ask: () => Promise<T>): Promise<T> {
  if (silent.has(name)) throw new Unavailable(`${name} has not answered before, and is not asked again for now`);
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Unavailable || error instanceof TimedOut) silent.add(name);
    throw error;
  }
}

/** The same machine, for such work. Each program, each database and the forwarder counts for itself. */
export function askingOnce(host: Host, silent: Silent): Host {
  const { forwarder } = host;
  return {
    ...host,
    run: (file, args, options) => unlessSilent(silent, file, () => host.run(file, args, options)),
    ovsdb: (address) => askingDatabase(host.ovsdb(address), silent),
    ...(forwarder && {
      forwarder: { ...forwarder, detach: (pair) => unlessSilent(silent, 'the forwarder', () => forwarder.detach(pair)) },
    }),
  };
}

function askingDatabase(db: Ovsdb, silent: Silent): Ovsdb {
  const name = `OVSDB server ${db.address}`;
  const ask: Pick<Ovsdb, 'transact' | 'replica'> = {
    transact: (operations) => unlessSilent(silent, name, () => db.transact(operations)),
    replica: () => unlessSilent(silent, name, () => db.replica()),
  };
  return Object.assign(Object.create(db), ask);
}
