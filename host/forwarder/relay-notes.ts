// How a note of a relay looks on disk. The supervisor writes and reads them (supervisor/notes.ts); `doctor` looks for those that nobody understands.
import { join } from 'node:path';
import { z } from 'zod';
import { listDirectory, readText } from '../kernel/sysfs.ts';
import { pairShape } from './relay-protocol.ts';
import type { TestpmdSettings } from './settings.ts';

const shape = z.strictObject({
  version: z.literal(1),
  bootId: z.string(),
  pair: pairShape,
  /** The CPU that forwards. */
  worker: z.int(),
  process: z.strictObject({ pid: z.int().positive(), started: z.int(), ready: z.boolean() }).optional(),
});
export type RelayNote = Readonly<z.output<typeof shape>>;

export const noteVersion = 1;

export function notesDirectory({ directory }: Pick<TestpmdSettings, 'directory'>): string {
  return join(directory, 'relays');
}

/** The device after whose name the file is called. Undefined: the file is no note, or is still being written. */
export function deviceOfNote(name: string): string | undefined {
  return name.endsWith('.json') && !name.endsWith(draft) ? name.slice(0, -'.json'.length) : undefined;
}

/** Of a note whose writer died before its rename. */
export const draft = '.json.new';

/** Undefined when it can't be read or is not understood. */
export function readRelayNote(path: string, device: string): RelayNote | undefined {
  try {
    const note = shape.parse(JSON.parse(readText(path) ?? ''));
    return note.pair.device === device ? note : undefined;
  } catch {
    return undefined;
  }
}

/** The paths of notes that a newer version wrote, or nobody knows who. Changes nothing. */
export function findStrangeNotes(settings: Pick<TestpmdSettings, 'directory'>): readonly string[] {
  const directory = notesDirectory(settings);
  return listDirectory(directory).flatMap((name) => {
    const device = deviceOfNote(name);
    const path = join(directory, name);
    return device === undefined || readRelayNote(path, device) !== undefined ? [] : [path];
  });
}
