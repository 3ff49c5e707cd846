// The directories that grants mount, for types whose containers create sockets: one per VF or slot. They exist before Allocate names them.
// Here they are only created and given their owner. The CNI side takes care of the files in them.
import { messageOf } from '../../host/base/errors.ts';
import { ensureDirectory, type Ownership, removeIfEmpty } from '../../host/files/directories.ts';
import type { Host } from '../../host/host.ts';
import { onHost } from '../../host/kernel/sysfs.ts';
import { offers } from '../../vnic/index.ts';
import type { Pool } from '../config/pool.ts';
import type { Resource } from '../offer/resource.ts';

/** By path, as the machine sees it. */
export type VhostDirectories = ReadonlyMap<string, Ownership>;

export function wantedDirectories(resources: readonly Resource[], pools: readonly Pool[]): VhostDirectories {
  const byName = new Map(pools.map((pool) => [pool.name, pool.vhost]));
  return new Map(
    resources.flatMap(({ vnicType, pool, units }) => {
      const { directory } = offers[vnicType];
      const vhost = byName.get(pool);
      return directory === undefined || vhost === undefined ? [] : units.map(({ id }) => [directory(id), vhost] as const);
    }),
  );
}

/** Creates missing directories, corrects mode and owner, and removes those of `before` that are unwanted and empty. Returns what failed. */
export function ensureDirectories(
  host: Pick<Host, 'root'>,
  before: VhostDirectories,
  wanted: VhostDirectories,
): readonly string[] {
  for (const path of before.keys()) if (!wanted.has(path)) removeIfEmpty(onHost(host, path));
  return [...wanted].flatMap(([path, vhost]) => tryDirectory(onHost(host, path), vhost) ?? []);
}

/** Why the directory could not be made; undefined when it was. */
function tryDirectory(path: string, vhost: Ownership): string | undefined {
  try {
    ensureDirectory(path, vhost);
    return undefined;
  } catch (error) {
    const wanted = `mode ${vhost.mode.toString(8)}, owner ${vhost.uid}:${vhost.gid}`;
    return `cannot make ${path} (${wanted}): ${messageOf(error)}; chown needs CAP_CHOWN`;
  }
}
