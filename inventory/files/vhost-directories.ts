// The directories in which virtio-forwarder containers make their sockets: one per vf or slot, there before Allocate names it as a mount.
// Only made and given their owner here; what lies in them is the CNI side's business.
import { chmodSync, chownSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import type { Host } from '../../host/host.ts';
import { onHost } from '../../host/kernel/sysfs.ts';
import { socketPlace } from '../../vnic/virtio-forwarder.ts';
import type { Pool, VhostDirectory } from '../config/pool.ts';
import type { Resource } from '../offer/resource.ts';

/** By id of the vf or slot. */
export type VhostDirectories = ReadonlyMap<string, VhostDirectory>;

export function wantedDirectories(resources: readonly Resource[], pools: readonly Pool[]): VhostDirectories {
  const byName = new Map(pools.map((pool) => [pool.name, pool.vhost]));
  return new Map(
    resources
      .filter(({ vnicType }) => vnicType === 'virtio-forwarder')
      .flatMap(({ pool, units }) => {
        const vhost = byName.get(pool);
        return vhost === undefined ? [] : units.map(({ id }) => [id, vhost] as const);
      }),
  );
}

/** Makes what is missing, puts mode and owner right, removes those of `before` that are unwanted and empty. @throws Error naming the first that failed. */
export function ensureDirectories(host: Pick<Host, 'root'>, before: VhostDirectories, wanted: VhostDirectories): void {
  for (const [id, vhost] of wanted) ensureDirectory(onHost(host, socketPlace(id).hostDirectory), vhost);
  for (const id of before.keys()) if (!wanted.has(id)) removeIfEmpty(onHost(host, socketPlace(id).hostDirectory));
}

function ensureDirectory(path: string, { mode, uid, gid }: VhostDirectory): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 });
    const now = statSync(path);
    // Owner first: chown takes away bits that chmod gives. What is right already needs no privilege.
    if (now.uid !== uid || now.gid !== gid) chownSync(path, uid, gid);
    if ((now.mode & 0o777) !== mode) chmodSync(path, mode);
  } catch (cause) {
    const wanted = `mode ${mode.toString(8)}, owner ${uid}:${gid}`;
    throw new Error(`cannot make ${path} (${wanted}): ${String(cause)}; chown needs CAP_CHOWN`, { cause });
  }
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // A socket still lies in it, or it is gone: either way it is not ours to force.
  }
}
