// Files that are written whole, or not at all. Besides `replace`, they are on the disk, with their names, when the call returns.
import { closeSync, fchmodSync, fdatasync, fsync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** @throws with code EEXIST when there is such a file already. A file that could not be written whole is removed again. */
export async function createDurably(path: string, text: string): Promise<void> {
  ensureFolder(path);
  using open = new DisposableStack();
  const file = open.adopt(openSync(path, 'wx', 0o600), closeSync);
  try {
    writeWhole(file, text);
    await Promise.all([syncData(file), syncName(path)]);
  } catch (error) {
    discard(path);
    throw error;
  }
}

/** By rename: a reader sees the old text or the new one, also after a crash. One call at a time for the same path. */
export async function replaceDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  ensureFolder(path);
  const draft = draftOf(path);
  try {
    using open = new DisposableStack();
    const file = writeDraft(open, draft, content, mode);
    await syncData(file);
    renameSync(draft, path);
  } catch (error) {
    discard(draft);
    throw error;
  }
  await syncName(path);
}

/** As replaceDurably, but a power loss may take it back: for what is made anew after a boot. */
export function replace(path: string, content: string, mode: number): void {
  const draft = draftOf(path);
  try {
    using open = new DisposableStack();
    writeDraft(open, draft, content, mode);
    renameSync(draft, path);
  } catch (error) {
    discard(draft);
    throw error;
  }
}

/** It may have been removed while we run. */
function ensureFolder(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
}

/** Its name begins with a dot, so that who reads the directory takes it for none of the files. */
function draftOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.new`);
}

function writeDraft(open: DisposableStack, draft: string, content: string | Uint8Array, mode: number): number {
  const file = open.adopt(openSync(draft, 'w', mode), closeSync);
  // Whatever our umask is, and whatever an earlier draft had.
  fchmodSync(file, mode);
  writeWhole(file, content);
  return file;
}

/** A disk that is almost full takes a part of a text without an error from write(2); writeFileSync goes on until it has one. */
function writeWhole(file: number, content: string | Uint8Array): void {
  writeFileSync(file, content);
}

/** Without the directory's own sync the file's name may be lost though its content is safe (fsync(2), notes). */
async function syncName(path: string): Promise<void> {
  using open = new DisposableStack();
  await sync(open.adopt(openSync(dirname(path), 'r'), closeSync));
}

const [syncData, sync] = [promisify(fdatasync), promisify(fsync)];

/** What made the write fail may make this fail too, and is the error that counts. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Left for the next write.
  }
}
