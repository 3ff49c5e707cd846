// The journal: one file per attachment, the intent on disk before the first change. Lines are only ever appended, so a crash can
// tear nothing but the last one, and a torn last line only says less than was done, never more.
import { constants } from 'node:fs';
import { mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Attachment } from './attachment.ts';
import { isRecord } from './json.ts';
import type { Result } from './result.ts';

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
  append(id: string, line: Line): Promise<void>;
  find(id: string): Promise<Entry | undefined>;
  list(): Promise<readonly Entry[]>;
  remove(id: string): Promise<void>;
}

export async function openJournal(stateDir: string): Promise<Journal> {
  const directory = join(stateDir, 'attachments');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fileOf = (id: string) => join(directory, `${id}.jsonl`);
  const find = async (id: string) => parseEntry(await readIfThere(fileOf(id)));
  // The intent was not on disk yet when the last server ended, so nothing was changed: there is nothing to remember.
  for (const id of await idsIn(directory)) if ((await find(id)) === undefined) await unlinkIfThere(fileOf(id));
  return {
    find,
    async begin(attachment) {
      // It may have been cleared away while we run.
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeDurably(fileOf(attachment.id), `${JSON.stringify({ version: 1, phase: 'adding', attachment })}\n`);
      await syncDirectory(directory);
    },
    async append(id, line) {
      await using file = await open(fileOf(id), constants.O_WRONLY | constants.O_APPEND);
      // Begins with a line's end: a line that a crash tore must not swallow this one.
      await file.writeFile(`\n${JSON.stringify(line)}\n`);
    },
    async list() {
      const entries = await Promise.all((await idsIn(directory)).map(find));
      // One without an attachment is being begun just now: it is nobody's yet.
      return entries.filter((entry) => entry !== undefined);
    },
    remove: (id) => unlinkIfThere(fileOf(id)),
  };
}

async function idsIn(directory: string): Promise<readonly string[]> {
  const names = ((await readdir(directory).catch(ignoreAbsent)) ?? []).filter((name) => name.endsWith('.jsonl'));
  return names.map((name) => name.slice(0, -'.jsonl'.length));
}

/** The last whole line counts for the phase; undefined when not even the first one is whole. */
export function parseEntry(text: string | undefined): Entry | undefined {
  const lines = (text ?? '').split('\n').map(parseLine);
  const [first, ...rest] = lines;
  if (!isRecord(first) || first['version'] !== 1 || !isRecord(first['attachment'])) return undefined;
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

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } catch (error) {
    await unlinkIfThere(path);
    throw error;
  }
}

/** Without this the file's name may be lost though its content is safe (fsync(2), notes). */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(ignoreAbsent);
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch(ignoreAbsent);
}

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
