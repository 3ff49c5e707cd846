// The journal: one file per attachment, the intent on disk before the first change. Lines are only ever appended, so a crash can
// tear nothing but the last one, and a torn last line only says less than was done, never more.
import {
  closeSync,
  constants,
  fdatasync,
  fsync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../host/base/errors.ts';
import { isRecord } from '../../host/base/json.ts';
import { CniError, codes } from '../protocol/errors.ts';
import type { Result } from '../protocol/result.ts';
import type { Attachment } from './attachment.ts';

export type Phase = 'adding' | 'added' | 'deleting';

export interface Entry {
  readonly attachment: Attachment;
  readonly phase: Phase;
  /** What ADD answered; there from phase `added` on. */
  readonly result?: Result;
}

type Line = { readonly phase: 'added'; readonly result: Result } | { readonly phase: 'deleting' };

export interface Journal {
  /** Durable when it returns. Throws when there is an entry already. */
  begin(attachment: Attachment): Promise<void>;
  /** Survives the death of this process; need not survive a power loss, after which no pod is left anyway. */
  append(id: string, line: Line): void;
  find(id: string): Entry | undefined;
  list(): readonly Entry[];
  remove(id: string): void;
}

/** For who only looks: nothing is made, cleared or written. */
export type JournalView = Pick<Journal, 'find' | 'list'>;

export function viewJournal(stateDir: string): JournalView {
  const directory = directoryOf(stateDir);
  const find = (id: string) => parseEntry(readIfThere(fileOf(directory, id)));
  // One without an attachment is being begun just now: it is nobody's yet.
  return { find, list: () => idsIn(directory).flatMap((id) => find(id) ?? []) };
}

/** Small files on a local disk: only what waits for the disk itself leaves this thread; the rest is done sooner than handed over. */
export function openJournal(stateDir: string): Journal {
  const directory = directoryOf(stateDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pathOf = (id: string) => fileOf(directory, id);
  const view = viewJournal(stateDir);
  // The intent was not on disk yet when the last server ended, so nothing was changed: there is nothing to remember.
  for (const id of idsIn(directory)) if (view.find(id) === undefined) unlinkIfThere(pathOf(id));
  return {
    ...view,
    async begin(attachment) {
      // It may have been cleared away while we run.
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const line = `${JSON.stringify({ version: 2, phase: 'adding', attachment })}\n`;
      await writeDurably(directory, pathOf(attachment.id), line).catch((error: unknown) => {
        throw unwritable(pathOf(attachment.id), error);
      });
    },
    append(id, line) {
      using open = new DisposableStack();
      const file = open.adopt(openSync(pathOf(id), constants.O_WRONLY | constants.O_APPEND), closeSync);
      try {
        // Begins with a line's end: a line that a crash tore must not swallow this one.
        writeFileSync(file, `\n${JSON.stringify(line)}\n`);
      } catch (error) {
        throw unwritable(pathOf(id), error);
      }
    },
    remove: (id) => unlinkIfThere(pathOf(id)),
  };
}

function directoryOf(stateDir: string): string {
  return join(stateDir, 'attachments');
}

function fileOf(directory: string, id: string): string {
  return join(directory, `${id}.jsonl`);
}

function idsIn(directory: string): readonly string[] {
  const names = (ifThere(() => readdirSync(directory)) ?? []).filter((name) => name.endsWith('.jsonl'));
  return names.map((name) => name.slice(0, -'.jsonl'.length));
}

/** The last whole line counts for the phase; undefined when not even the first one is whole. */
export function parseEntry(text: string | undefined): Entry | undefined {
  const lines = (text ?? '').split('\n').map(parseLine);
  const [first, ...rest] = lines;
  if (!isRecord(first) || first['version'] !== 2 || !isRecord(first['attachment'])) return undefined;
  // Written by us alone, below a 0700 directory: the shape is trusted once the line is whole.
  const attachment = first['attachment'] as unknown as Attachment;
  const known: Partial<Entry> = Object.assign({}, ...rest.filter(isRecord));
  return { attachment, phase: 'adding', ...known };
}

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Without the directory's own sync the file's name may be lost though its content is safe (fsync(2), notes). */
async function writeDurably(directory: string, path: string, text: string): Promise<void> {
  using open = new DisposableStack();
  const file = open.adopt(openSync(path, 'wx', 0o600), closeSync);
  try {
    writeFileSync(file, text);
    const names = open.adopt(openSync(directory, 'r'), closeSync);
    await Promise.all([syncData(file), sync(names)]);
  } catch (error) {
    unlinkIfThere(path);
    throw error;
  }
}

/** writeFileSync, not writeSync, goes before: a disk that is almost full takes a part of a line without an error. */
function unwritable(path: string, error: unknown): CniError {
  const message = `${path} can't be written: ${messageOf(error)}; is there room on its disk, and is it writable?`;
  return new CniError(codes.io, message, { cause: error });
}

const [syncData, sync] = [promisify(fdatasync), promisify(fsync)];

function readIfThere(path: string): string | undefined {
  return ifThere(() => readFileSync(path, 'utf8'));
}

function unlinkIfThere(path: string): void {
  ifThere(() => unlinkSync(path));
}

function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
