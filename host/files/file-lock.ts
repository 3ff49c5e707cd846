// A file that one process at a time may hold. The kernel takes the lock back however its holder ends, so none is ever stale.
import { closeSync, openSync } from 'node:fs';
import { lockFile } from '../kernel/libc.ts';

/** Holds the file, which is made if need be, until this process ends; false when another one holds it. flock(2) */
export function claimFile(path: string): boolean {
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
