// What the supervisor remembers of its relays: a file for each device, with the pair and the process, so that the next supervisor takes a
// relay over instead of starting it twice.
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../host/base/errors.ts';
import { makeDirectory, removeTree } from '../host/files/directories.ts';
import { replace } from '../host/files/durable.ts';
import { removeFile } from '../host/files/plain.ts';
import { pairShape } from '../host/forwarder/relay-protocol.ts';
import { listDirectory, readText } from '../host/kernel/sysfs.ts';

const shape = z.strictObject({
  version: z.literal(1),
  bootId: z.string(),
  pair: pairShape,
  /** The CPU that forwards. */
  worker: z.int(),
  process: z.strictObject({ pid: z.int().positive(), started: z.int(), ready: z.boolean() }).optional(),
});
export type Note = Readonly<Omit<z.output<typeof shape>, 'version' | 'bootId'>>;

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
    if (!name.endsWith('.json')) continue;
    const device = name.slice(0, -'.json'.length);
    const note = read(path);
    if (note === undefined || note.pair.device !== device) strange.set(device, path);
    else if (note.bootId === bootId) found.push(note);
    else removeFile(path);
  }
  return {
    found,
    strange,
    write: ({ pair, worker, process }) => {
      const path = pathOf(pair.device);
      try {
        replace(path, JSON.stringify({ version: 1, bootId, pair, worker, process }), 0o600);
      } catch (error) {
        throw new Error(`${path} can't be written: ${messageOf(error)}; is there room on its disk?`, { cause: error });
      }
    },
    remove: (device) => removeFile(pathOf(device)),
  };
}

/** Of a note whose writer died before its rename. */
const draft = '.json.new';

function read(path: string) {
  try {
    return shape.parse(JSON.parse(readText(path) ?? ''));
  } catch {
    return undefined;
  }
}
