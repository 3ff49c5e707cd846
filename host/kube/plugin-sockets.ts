// The sockets that a device plugin of ours puts into kubelet's directories, by name.
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { socketPathLimit } from '../files/unix-socket.ts';

export const socketName = /^smartnic-.+-[0-9a-f]{8}\.sock$/;

/**
 * Unique, because closing an old server also unlinks a newer socket of the same name. A resource whose name does not fit a socket's path has a hash
 * in its place: kubelet takes names of up to 308 characters, and learns the resource from us and not from the socket.
 */
export function makeSocketPath(directory: string, resource: string): string {
  const path = (name: string) => join(directory, `smartnic-${name}-${randomBytes(4).toString('hex')}.sock`);
  const speaking = path(resource.replace('/', '_'));
  if (Buffer.byteLength(speaking) <= socketPathLimit) return speaking;
  return path(createHash('sha256').update(resource).digest('hex').slice(0, 16));
}
