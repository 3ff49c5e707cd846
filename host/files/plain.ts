// Plain files: read, written, appended to, removed. durable.ts has those that are written whole or not at all, and /sys and /proc have readers of
// their own (host/kernel/sysfs.ts).
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectory } from './directories.ts';

/** Undefined when there is no such file. @throws what the kernel says otherwise. */
export function findContent(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the directory as well. @throws what the kernel says. */
export function writeText(path: string, text: string): void {
  makeDirectory(dirname(path), 0o777);
  writeFileSync(path, text);
}

/** @throws what the kernel says. */
export function appendText(path: string, text: string): void {
  appendFileSync(path, text);
}

/** A missing file is fine. @throws what the kernel says otherwise. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
}

/** Empties a file that has more than `most` bytes. A missing file is fine. */
export function limitSize(path: string, most: number): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > most) truncateSync(path);
}
