// A directory for our sockets that only root can enter. connect(2) needs search permission on the way, so nobody else can connect.
import { chmodSync, mkdirSync, realpathSync, statSync } from 'node:fs';

const shared = ['/var/lib', '/var/log', '/var/tmp', '/usr/local'];

/** Creates it with mode 0700, or sets that mode. Throws for a directory that others need, because closing /run or /tmp would stop the machine. */
export function ensurePrivateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const [real, { mode }] = [realpathSync(path), statSync(path)];
  const sticky = (mode & 0o1000) !== 0;
  if (sticky || real.lastIndexOf('/') === 0 || shared.includes(real)) {
    throw new Error(
      `${path} is a directory that others use; a socket of ours needs one of its own, such as ${real === '/' ? '' : real}/smartnic`,
    );
  }
  chmodSync(path, 0o700);
}
