// Small files of ours in a directory that others use as well: written whole, changed only when they differ, removed when they are no
// longer wanted. Which ones are ours stands in an index beside them, so that a restart neither forgets one nor touches a stranger's.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from './sysfs.ts';

export interface FileChanges {
  readonly written: readonly string[];
  readonly removed: readonly string[];
}

/** Its name begins with a dot and does not end like any of the files, so that readers of the directory pass it by. */
const index = '.smartnic-files';

/**
 * Makes the directory hold these files of ours and no others.
 * @param wanted - text by file name. @throws Error naming the directory; what was done until then stays.
 */
export function syncOwnFiles(directory: string, wanted: ReadonlyMap<string, string>): FileChanges {
  try {
    return sync(directory, wanted);
  } catch (cause) {
    throw new Error(`cannot keep the files in ${directory} up to date: ${String(cause)}; may we write there?`, { cause });
  }
}

function sync(directory: string, wanted: ReadonlyMap<string, string>): FileChanges {
  const before = (readText(join(directory, index)) ?? '').split('\n').filter((name) => name !== '' && !name.includes('/'));
  const removed = before.filter((name) => !wanted.has(name));
  const written = [...wanted].filter(([name, text]) => readText(join(directory, name)) !== text.trim()).map(([name]) => name);
  if (written.length === 0 && removed.length === 0) return { written, removed };
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  // First the index, then the files: a crash in between leaves names without files, never a file that nobody knows.
  replace(directory, index, [...new Set([...before, ...wanted.keys()])].join('\n'));
  for (const name of written) replace(directory, name, wanted.get(name) ?? '');
  for (const name of removed) rmSync(join(directory, name), { force: true });
  if (removed.length > 0) replace(directory, index, [...wanted.keys()].join('\n'));
  return { written, removed };
}

/** By rename: a reader sees the old text or the new one. */
function replace(directory: string, name: string, text: string): void {
  const draft = join(directory, `.${name}.new`);
  writeFileSync(draft, text, { mode: 0o644 });
  renameSync(draft, join(directory, name));
}
