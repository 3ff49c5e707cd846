// Small files of ours in a directory that others use as well. They are written whole, only when they differ, and removed when they are no
// longer wanted. An index beside them lists which files are ours, so that a restart neither forgets one nor touches the file of somebody else.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { readText } from '../kernel/sysfs.ts';
import { replace } from './durable.ts';

export interface FileChanges {
  readonly written: readonly string[];
  readonly removed: readonly string[];
}

/** The name begins with a dot and does not end like the files, so readers of the directory ignore it. */
export const ownIndex = '.smartnic-files';

/** Bytes of a file's name: NAME_MAX of Linux file systems, less what the name of a draft adds. */
export const longestOwnName = 250;

export interface OwnFiles {
  /**
   * Makes the directory hold these files of ours and no others.
   * @param wanted - text by file name, ending with a line's end. @param thoroughly - also look whether somebody changed or removed what we wrote.
   * @throws Error naming the directory and every file that failed; all others are as wanted.
   */
  sync(wanted: ReadonlyMap<string, string>, thoroughly: boolean): FileChanges;
}

export function openOwnFiles(directory: string): OwnFiles {
  /** The text of each file as far as we know, by name; undefined: not known. */
  let known: ReadonlyMap<string, string> | undefined;
  return {
    sync(wanted, thoroughly) {
      const before = thoroughly ? undefined : known;
      known = undefined;
      try {
        const changes = sync(directory, wanted, before ?? readOwn(directory));
        known = new Map(wanted);
        return changes;
      } catch (cause) {
        throw new Error(`cannot keep the files in ${directory} up to date: ${messageOf(cause)}; may we write there?`, { cause });
      }
    },
  };
}

/** Others read them. */
const mode = 0o644;

function readOwn(directory: string): ReadonlyMap<string, string> {
  const names = (readText(join(directory, ownIndex)) ?? '').split('\n').filter((name) => name !== '' && !name.includes('/'));
  return new Map(names.map((name) => [name, `${textOf(join(directory, name))}\n`]));
}

/** Empty when it can't be read: it differs then, and is written anew. */
function textOf(path: string): string {
  try {
    return readText(path) ?? '';
  } catch {
    return '';
  }
}

function sync(directory: string, wanted: ReadonlyMap<string, string>, before: ReadonlyMap<string, string>): FileChanges {
  const removed = [...before.keys()].filter((name) => !wanted.has(name));
  const written = [...wanted].filter(([name, text]) => before.get(name) !== text).map(([name]) => name);
  if (written.length === 0 && removed.length === 0) return { written, removed };
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  // The index is written first. A crash after it leaves names without files, but never a file that the index does not know.
  replace(join(directory, ownIndex), [...new Set([...before.keys(), ...wanted.keys()])].join('\n'), mode);
  const failures = [
    ...attemptEach(written, (name) => replace(join(directory, name), wanted.get(name) ?? '', mode)),
    ...attemptEach(removed, (name) => rmSync(join(directory, name), { force: true })),
  ];
  if (failures.length > 0) throw new Error(failures.join('; '));
  if (removed.length > 0) replace(join(directory, ownIndex), [...wanted.keys()].join('\n'), mode);
  return { written, removed };
}

/** Tries all, and returns what was wrong with each that failed. */
function attemptEach(names: readonly string[], act: (name: string) => void): readonly string[] {
  return names.flatMap((name) => {
    try {
      act(name);
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  });
}
