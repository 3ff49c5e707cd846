// A file that only one process at a time can hold. The kernel releases the lock however its holder ends, so a lock is never stale.
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { lockFile } from '../kernel/libc.ts';

/** Creates the file, and its directory, if they are missing, and holds it until this process ends. False when another process holds it. flock(2) */
export function claimFile(path: string): boolean {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = open(path);
  let claimed = false;
  try {
    claimed = lockFile(fd, `lock ${path}`);
  } finally {
    if (!claimed) closeSync(fd);
  }
  return claimed;
}

/** On a disk that went read-only the file of an earlier time will do: a lock does not write. */
function open(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EROFS')) throw error;
    return openSync(path, 'r');
  }
}
