// What the supervisor remembers of its relays: a file for each device, with the pair and the process, so that the next supervisor takes a
// relay over instead of starting it twice.
import { join } from 'node:path';
import { messageOf } from '../host/base/errors.ts';
import { makeDirectory, removeTree } from '../host/files/directories.ts';
import { replace } from '../host/files/durable.ts';
import { removeFile } from '../host/files/plain.ts';
import { deviceOfNote, draft, noteVersion, type RelayNote, readRelayNote } from '../host/forwarder/relay-notes.ts';
import { listDirectory } from '../host/kernel/sysfs.ts';

export type Note = Readonly<Omit<RelayNote, 'version' | 'bootId'>>;

export interface Notes {
  /** As they were found at the start. */
  readonly found: readonly Note[];
  /** Paths of files that a newer version wrote, or nobody knows who; by device. They are left alone, and so is what they stand for. */
  readonly strange: ReadonlyMap<string, string>;
  /** By rename: a reader sees the old one or the new one. @throws Error naming the file. */
  write(note: Note): void;
  /** Not there is fine. */
  remove(device: string): void;
}

/** @param bootId - /proc/sys/kernel/random/boot_id: what ran before this boot is not started again, and its notes are removed. */
export function openNotes(directory: string, bootId: string): Notes {
  makeDirectory(directory, 0o700);
  const pathOf = (device: string) => join(directory, `${device}.json`);
  const found: Note[] = [];
  const strange = new Map<string, string>();
  for (const name of listDirectory(directory)) {
    const path = join(directory, name);
    if (name.endsWith(draft)) removeTree(path);
    const device = deviceOfNote(name);
    if (device === undefined) continue;
    const note = readRelayNote(path, device);
    if (note === undefined) strange.set(device, path);
    else if (note.bootId === bootId) found.push(note);
    else removeFile(path);
  }
  return {
    found,
    strange,
    write: ({ pair, worker, process }) => {
      const path = pathOf(pair.device);
      try {
        replace(path, JSON.stringify({ version: noteVersion, bootId, pair, worker, process }), 0o600);
      } catch (error) {
        throw new Error(`${path} can't be written: ${messageOf(error)}; is there room on its disk?`, { cause: error });
      }
    },
    remove: (device) => removeFile(pathOf(device)),
  };
}
