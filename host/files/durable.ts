// Writes that are on the disk, the file's name included, when the call returns.
import { closeSync, fdatasync, fsync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** @throws with code EEXIST when there is such a file already. A file that could not be written whole is removed again. */
export async function createDurably(path: string, text: string): Promise<void> {
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
export async function replaceDurably(path: string, text: string): Promise<void> {
  const draft = join(dirname(path), `.${basename(path)}.new`);
  try {
    using open = new DisposableStack();
    const file = open.adopt(openSync(draft, 'w', 0o600), closeSync);
    writeWhole(file, text);
    await syncData(file);
    renameSync(draft, path);
  } catch (error) {
    discard(draft);
    throw error;
  }
  await syncName(path);
}

/** A disk that is almost full takes a part of a text without an error from write(2); writeFileSync goes on until it has one. */
function writeWhole(file: number, text: string): void {
  writeFileSync(file, text);
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
