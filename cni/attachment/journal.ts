// The journal: one file per attachment, with the intent on disk before the first change. Lines are only appended, so a crash can tear only
// the last one. Without its torn last line, a file says less than was done, but never more. entry.ts knows what a line says.
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

/** For callers that only look. It creates, clears and writes nothing. */
export interface JournalView {
  /** @throws Unavailable when the entry can't be read or is not understood. */
  find(id: string): Entry | undefined;
  /** All entries that can be read, and in words those that can't. It reads every file once. */
  read(): { readonly entries: readonly Entry[]; readonly problems: readonly string[] };
  /** All entries that can be read. */
  list(): readonly Entry[];
  /** Whether there is an entry, readable or not. */
  has(id: string): boolean;
  /** The entries that can't be read or are not understood, in words. They are left alone. */
  problems(): readonly string[];
}

export interface Journal extends JournalView {
  /** The entry is durable when it resolves. Throws when there is one already. */
  begin(attachment: Attachment): Promise<void>;
  /**
   * The line survives the death of this process. It need not survive a power loss, after which there is no pod anyway. Nothing is written when
   * the entry says the same already. @throws when it can't be written. A deletion is then remembered as long as this process lives.
   */
  append(id: string, line: Line): void;
  /** A missing entry is fine. @throws when it can't be removed. Then this process remembers as long as it lives that it is being deleted. */
  remove(id: string): void;
}

/** An entry of more lines than this is rewritten when the journal is opened. Without a crash no entry has more than three. */
const mostLines = 16;

export function viewJournal(stateDir: string): JournalView {
  const directory = directoryOf(stateDir);
  const look = (id: string) => readEntry(fileOf(directory, id), id);
  const read = () => {
    const { ids, problem } = idsIn(directory);
    const entries: Entry[] = [];
    const problems = problem === undefined ? [] : [wordsOf(directory, { problem })];
    for (const id of ids) {
      const reading = look(id);
      if (isUnreadable(reading)) problems.push(wordsOf(fileOf(directory, id), reading));
      // An entry without an attachment is being written just now. It does not count yet.
      else if (typeof reading === 'object') entries.push(reading.entry);
    }
    return { entries, problems };
  };
  return {
    find(id) {
      const reading = look(id);
      if (isUnreadable(reading)) throw new Unavailable(wordsOf(fileOf(directory, id), reading));
      return entryOf(reading);
    },
    read,
    list: () => read().entries,
    has: (id) => existsSync(fileOf(directory, id)),
    problems: () => read().problems,
  };
}

/** These are small files on a local disk. Only the waits for the disk leave this thread, because the rest takes less time than handing it over. */
export async function openJournal(stateDir: string): Promise<Journal> {
  const directory = directoryOf(stateDir);
  await tidy(directory);
  const view = viewJournal(stateDir);
  /** Attachments that are being removed although the disk is full or read-only and could not record it. */
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
  const read = () => {
    const { entries, problems } = view.read();
    return { entries: entries.map(asDoomed), problems };
  };
  return {
    ...view,
    read,
    find(id) {
      const entry = view.find(id);
      return entry && asDoomed(entry);
    },
    list: () => read().entries,
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
        // An entry that can't be read throws here and stays. If there is no file, it must not be unlinked, because a read-only disk would refuse.
        if (view.find(id) !== undefined || view.has(id)) unlinkSync(fileOf(directory, id));
      });
      doomed.delete(id);
    },
  };
}

/**
 * Clears up after an earlier server: it removes intents that never reached the disk completely, so that nothing was changed, and it shortens
 * entries that grew long. On a disk that is full or read-only they stay, and the journal is used all the same.
 */
async function tidy(directory: string): Promise<void> {
  const tries = async (work: () => Promise<void> | void) => await (async () => await work())().catch(() => {});
  await tries(() => void mkdirSync(directory, { recursive: true, mode: 0o700 }));
  for (const id of idsIn(directory).ids) {
    const path = fileOf(directory, id);
    if (isTidy(path)) continue;
    const reading = readEntry(path, id);
    if (reading === 'torn') await tries(() => unlinkSync(path));
    else if (isLong(reading)) await tries(() => replaceDurably(path, compact(reading.entry)));
  }
}

/** Spares almost every entry its parsing, for which the runtime would wait at each start. An intent that was written whole ends in a newline. */
function isTidy(path: string): boolean {
  try {
    const newlines = readFileSync(path, 'utf8').split('\n').length - 1;
    return newlines > 0 && newlines <= mostLines;
  } catch {
    return false;
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
    // writeSync is not enough: on a disk that is almost full it writes a part of the line without an error. writeFileSync writes it all or throws.
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
