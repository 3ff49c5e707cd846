// Whether a process still has a unix socket open, told by the socket's file. The process hears nothing of it.
import { closeSync } from 'node:fs';
import { connect, SystemError, socket } from '../kernel/libc.ts';
import { findStrangersSocket, socketPathLimit } from './unix-socket.ts';

/**
 * The kernel finds the socket by the file, in whatever namespace its process is. A stream socket refuses a datagram socket as one of the wrong type,
 * before anybody has to accept it. For a socket that nobody has open, the kernel says ECONNREFUSED. Source: unix_find_bsd in net/unix/af_unix.c.
 * A symbolic link is followed nowhere, because the directory may be a container's.
 * @throws SystemError when that can't be told.
 */
export function isSocketOpen(path: string): boolean {
  if (Buffer.byteLength(path) > socketPathLimit || findStrangersSocket(path) === undefined) return false;
  const [AF_UNIX, SOCK_DGRAM] = [1, 2];
  using open = new DisposableStack();
  const fd = open.adopt(socket(AF_UNIX, SOCK_DGRAM, 0), closeSync);
  const address = Buffer.alloc(2 + Buffer.byteLength(path) + 1);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(path, 2);
  try {
    connect(fd, address);
    return true;
  } catch (error) {
    const answer = error instanceof SystemError ? answers[error.code] : undefined;
    if (answer === undefined) throw error;
    return answer;
  }
}

const answers: Readonly<Record<string, boolean>> = { EPROTOTYPE: true, EPERM: true, ECONNREFUSED: false, ENOENT: false };
