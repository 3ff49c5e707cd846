// Empties a directory that a stranger may have filled. A directory with much in it is renamed, and a new one takes its place. That takes a moment,
// however many files are in it and however deep they lie. What was set aside is removed later, one file at a time, so that one pod's directory
// costs one pod.
import { chmodSync, chownSync, mkdirSync, opendirSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { mkdir, opendir, rename, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { existsOnHost } from '../kernel/sysfs.ts';

/** In the folder of the directories, so that renaming stays within one file system. Ids of VFs and slots don't begin with a dot. */
const heap = '.set-aside';

/** So many files are removed where they are. A consumer makes one or two. */
const few = 64;

/**
 * Empties the directory, and leaves it as it is where only a few files are in it. A directory that is missing is fine.
 * @returns the path of the old one where it was set aside, for removeAside.
 */
export function emptyOrSetAside(path: string): string | undefined {
  if (!existsOnHost(path)) return undefined;
  return removeFew(path) ? undefined : setAside(path);
}

/** False when more is in it, or a folder. */
function removeFew(path: string): boolean {
  const folder = opendirSync(path, { bufferSize: few });
  try {
    for (let count = 0; ; count++) {
      const entry = folder.readSync();
      if (entry === null) return true;
      if (count === few || entry.isDirectory()) return false;
      unlinkSync(join(path, entry.name));
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'EPERM' || error.code === 'EISDIR')) return false;
    throw error;
  } finally {
    folder.closeSync();
  }
}

/**
 * Puts an empty directory of the same owner and mode in its place. Whoever still has the old one open or mounted keeps that one, and meets nobody there.
 * A directory that is missing is fine. @returns the path of the old one, for removeAside; undefined: there was none.
 */
export function setAside(path: string): string | undefined {
  if (!existsOnHost(path)) return undefined;
  const { mode, uid, gid } = statSync(path);
  const folder = join(dirname(path), heap);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const aside = join(folder, `${process.hrtime.bigint()}`);
  renameSync(path, aside);
  // Where the file system is full of what was in it, or CHOWN is needed, which the CNI server has not, the device plugin does the rest.
  tryTo(() => {
    mkdirSync(path);
    const made = statSync(path);
    if (made.uid !== uid || made.gid !== gid) chownSync(path, uid, gid);
  });
  tryTo(() => chmodSync(path, mode & 0o7777));
  return aside;
}

/** What an earlier process set aside and did not remove to the end. @param folder - of the directories. */
export async function removeAllAside(folder: string): Promise<void> {
  const path = join(folder, heap);
  if (existsOnHost(path)) await removeAside(path);
}

/**
 * Removes the directory with all that is in it. It holds one name in memory and never a path that is longer than two names below it, because
 * folders are moved up before they are emptied. @throws what the kernel says of the first thing that can't be removed.
 */
export async function removeAside(aside: string): Promise<void> {
  const pool = `${aside}.folders`;
  await mkdir(pool, { recursive: true, mode: 0o700 });
  const numbers = { next: process.hrtime.bigint() };
  const moveUp = async (path: string) => await rename(path, join(pool, `${numbers.next++}`));
  await empty(aside, moveUp);
  for (let name = await anyIn(pool); name !== undefined; name = await anyIn(pool)) await empty(join(pool, name), moveUp);
  await rmdir(pool);
}

/** Files that are made meanwhile by whoever has it open keep it a few rounds, and then it stays for the next start. */
async function empty(path: string, moveUp: (path: string) => Promise<void>): Promise<void> {
  for (let round = 1; ; round++) {
    for await (const entry of await opendir(path, { bufferSize: 64 }))
      await (entry.isDirectory() ? moveUp(join(path, entry.name)) : unlink(join(path, entry.name)));
    try {
      return await rmdir(path);
    } catch (error) {
      if (round === 10) throw error;
    }
  }
}

async function anyIn(path: string): Promise<string | undefined> {
  const folder = await opendir(path, { bufferSize: 1 });
  try {
    return (await folder.read())?.name;
  } finally {
    await folder.close();
  }
}

function tryTo(act: () => void): void {
  try {
    act();
  } catch {
    // The device plugin looks again and again whether the directory is there and whose it is.
  }
}
