// The journal: one file per attachment, the intent on disk before the first change. Lines are only ever appended, so a crash can
// tear nothing but the last one, and a torn last line only says less than was done, never more. What a line says is entry.ts' business.
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { createDurably, replaceDurably } from '../../host/files/durable.ts';
import { unwritable } from '../protocol/errors.ts';
import type { Attachment } from './attachment.ts';
import { addition, beginning, compact, type Entry, type Line, parseEntry, type Reading, says, type Unreadable } from './entry.ts';

/** For who only looks: nothing is made, cleared or written. */
export interface JournalView {
  /** @throws Unavailable when there is an entry that can't be read or is not understood. */
  find(id: string): Entry | undefined;
  /** All that can be read. */
  list(): readonly Entry[];
  /** Whether there is an entry, readable or not. */
  has(id: string): boolean;
  /** What can't be read or is not understood, in words; it is left alone. */
  problems(): readonly string[];
}

export interface Journal extends JournalView {
  /** Durable when it returns. Throws when there is an entry already. */
  begin(attachment: Attachment): Promise<void>;
  /**
   * Survives the death of this process; need not survive a power loss, after which no pod is left anyway. Writes nothing when the entry says
   * so already. @throws when it can't be written; a deletion is then remembered as long as this process lives.
   */
  append(id: string, line: Line): void;
  /** Not there is fine. @throws when it can't be removed; then it is remembered as being deleted as long as this process lives. */
  remove(id: string): void;
}

/** An entry that took more lines than this is written anew when the journal is opened. None has more than three without a crash. */
const mostLines = 16;

export function viewJournal(stateDir: string): JournalView {
  const directory = directoryOf(stateDir);
  const look = (id: string) => readEntry(fileOf(directory, id), id);
  return {
    find(id) {
      const reading = look(id);
      if (isUnreadable(reading)) throw new Unavailable(wordsOf(fileOf(directory, id), reading));
      // One without an attachment is being begun just now: it is nobody's yet.
      return entryOf(reading);
    },
    list: () => idsIn(directory).ids.flatMap((id) => entryOf(look(id)) ?? []),
    has: (id) => existsSync(fileOf(directory, id)),
    problems() {
      const { ids, problem } = idsIn(directory);
      const unreadable = ids.flatMap((id) => {
        const reading = look(id);
        return isUnreadable(reading) ? [wordsOf(fileOf(directory, id), reading)] : [];
      });
      return problem === undefined ? unreadable : [wordsOf(directory, { problem })];
    },
  };
}

/** Small files on a local disk: only what waits for the disk itself leaves this thread; the rest is done sooner than handed over. */
export async function openJournal(stateDir: string): Promise<Journal> {
  const directory = directoryOf(stateDir);
  await tidy(directory);
  const view = viewJournal(stateDir);
  /** Being taken away, though the disk could not be told so: it is full or read-only. */
  const doomed = new Set<string>();
  const asDoomed = (entry: Entry): Entry => (doomed.has(entry.attachment.id) ? { ...entry, phase: 'deleting' } : entry);
  const orDoom = (id: string, write: () => void) => {
    try {
      write();
    } catch (error) {
      doomed.add(id);
      throw error;
    }
  };
  return {
    ...view,
    find(id) {
      const entry = view.find(id);
      return entry && asDoomed(entry);
    },
    list: () => view.list().map(asDoomed),
    async begin(attachment) {
      const path = fileOf(directory, attachment.id);
      try {
        await createDurably(path, beginning(attachment));
      } catch (error) {
        throw unwritable(path, error);
      }
    },
    append(id, line) {
      const write = () => appendLine(fileOf(directory, id), line);
      const entry = view.find(id);
      if (entry !== undefined && says(entry, line)) return;
      if (line.phase === 'added') write();
      else orDoom(id, write);
    },
    remove(id) {
      orDoom(id, () => {
        // What can't be read throws here and stays. Where there is no file, a read-only disk would refuse all the same.
        if (view.find(id) !== undefined || view.has(id)) unlinkSync(fileOf(directory, id));
      });
      doomed.delete(id);
    },
  };
}

/**
 * What an earlier server left: intents that never got to the disk as a whole, so that nothing was changed, and entries that grew long. On a
 * disk that is full or read-only they stay: what is there is served all the same.
 */
async function tidy(directory: string): Promise<void> {
  const tries = async (work: () => Promise<void> | void) => await (async () => await work())().catch(() => {});
  await tries(() => void mkdirSync(directory, { recursive: true, mode: 0o700 }));
  for (const id of idsIn(directory).ids) {
    const path = fileOf(directory, id);
    const reading = readEntry(path, id);
    if (reading === 'torn') await tries(() => unlinkSync(path));
    else if (isLong(reading)) await tries(() => replaceDurably(path, compact(reading.entry)));
  }
}

function isLong(reading: Reading | undefined): reading is Extract<Reading, { readonly entry: Entry }> {
  return typeof reading === 'object' && 'entry' in reading && reading.lines > mostLines;
}

function isUnreadable(reading: Reading | undefined): reading is Unreadable {
  return typeof reading === 'object' && 'problem' in reading;
}

function entryOf(reading: Reading | undefined): Entry | undefined {
  return typeof reading === 'object' && 'entry' in reading ? reading.entry : undefined;
}

function wordsOf(path: string, { problem }: Unreadable): string {
  return `${path} can't be read and is left alone: ${problem}`;
}

function directoryOf(stateDir: string): string {
  return join(stateDir, 'attachments');
}

const ending = '.jsonl';

function fileOf(directory: string, id: string): string {
  return join(directory, `${id}${ending}`);
}

function idsIn(directory: string): { readonly ids: readonly string[]; readonly problem?: string } {
  try {
    const names = ifThere(() => readdirSync(directory)) ?? [];
    return { ids: names.filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length)) };
  } catch (error) {
    return { ids: [], problem: messageOf(error) };
  }
}

function readEntry(path: string, id: string): Reading | undefined {
  try {
    const text = ifThere(() => readFileSync(path, 'utf8'));
    return text === undefined ? undefined : parseEntry(text, id);
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

function appendLine(path: string, line: Line): void {
  try {
    using open = new DisposableStack();
    const file = open.adopt(openSync(path, constants.O_WRONLY | constants.O_APPEND), closeSync);
    // writeFileSync, not writeSync: a disk that is almost full takes a part of a line without an error.
    writeFileSync(file, addition(line));
  } catch (error) {
    throw unwritable(path, error);
  }
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
