// The sockets that a device plugin of ours puts into kubelet's directories, by name.
import { randomBytes } from 'node:crypto';

export const socketName = /^smartnic-.+-[0-9a-f]{8}\.sock$/;

/** Unique, because closing an old server also unlinks a newer socket of the same name. */
export function makeSocketName(resource: string): string {
  return `smartnic-${resource.replace('/', '_')}-${randomBytes(4).toString('hex')}.sock`;
}
