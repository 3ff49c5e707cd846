// Directories that others use: they are created with their owner, emptied, and removed when nothing is in them.
import { chmodSync, chownSync, mkdirSync, rmdirSync, rmSync, statSync } from 'node:fs';

/** Whose a directory is, and who may use it. */
export interface Ownership {
  /** Permission bits, e.g. 0o770. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Creates the directory if it is missing, and corrects owner and mode. @throws what the kernel says. */
export function ensureDirectory(path: string, { mode, uid, gid }: Ownership): void {
  mkdirSync(path, { recursive: true, mode: 0o755 });
  const now = statSync(path);
  // The owner comes first, because chown clears bits that chmod sets. What is right already needs no privilege.
  if (now.uid !== uid || now.gid !== gid) chownSync(path, uid, gid);
  if ((now.mode & 0o777) !== mode) chmodSync(path, mode);
}

/** Also those above it. One that is there keeps its mode. @throws what the kernel says. */
export function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode });
}

/** With all that is in it. Nothing there is fine. */
export function removeTree(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

export function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Either something is still in it, or it is gone. In both cases nothing is forced.
  }
}
