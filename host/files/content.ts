// A file's content as it stands there. /sys and /proc have readers of their own (host/kernel/sysfs.ts).
import { readFileSync } from 'node:fs';

/** Undefined when there is no such file. @throws what the kernel says otherwise. */
export function findContent(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
