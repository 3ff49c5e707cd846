// The last good text of a configuration file, kept in a file of its own. While the present text is refused, it tells a person what is in force,
// and a process that starts takes it.
import { dirname } from 'node:path';
import { ConfigError } from '../base/config-error.ts';
import { messageOf } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
import type { Logger } from '../base/log.ts';
import { readText } from '../kernel/sysfs.ts';
import { makeDirectory } from './directories.ts';
import { replace } from './durable.ts';
import { removeFile } from './plain.ts';

export interface LastGood {
  /** The text of that configuration file when it was last good. Undefined when nothing is known. @throws Error naming what can't be read. */
  read(file: string): string | undefined;
  /** @throws Error with what the machine said. */
  write(file: string, text: string): void;
  /** A missing record is fine. */
  remove(): void;
}

/** @param path - where the text is kept. It is readable for everybody who can enter its directory. */
export function openLastGood(path: string): LastGood {
  return {
    read(file) {
      const content = readText(path);
      const kept = content === undefined ? undefined : parseRecord(content, path);
      return kept?.file === file ? kept.text : undefined;
    },
    write(file, text) {
      makeDirectory(dirname(path), 0o755);
      replace(path, `${JSON.stringify({ file, text })}\n`, 0o644);
    },
    remove: () => removeFile(path),
  };
}

/** Writes or removes such a record. A failure is only logged, because only displays and a later start depend on it. */
export function tryToKeep(log: Logger, act: () => void): void {
  try {
    act();
  } catch (error) {
    log.warn({ error: messageOf(error) }, 'the last good configuration is not kept for a later start');
  }
}

export interface Good<T> {
  readonly value: T;
  /** Why the present text is refused, so that this is the last good one. Empty when it is the present one. */
  readonly problems: readonly string[];
}

/**
 * What `parse` makes of the present text, or of the last good one while the present one is refused or can't be read.
 * @throws what `read` or `parse` throws when there is no last good one either.
 */
export function parseGood<T>(
  lastGood: LastGood,
  file: string,
  { read, parse }: { readonly read: () => string; readonly parse: (text: string) => T },
): Good<T> {
  try {
    return { value: parse(read()), problems: [] };
  } catch (error) {
    const text = tryRead(lastGood, file);
    if (text === undefined) throw error;
    return { value: parseKept(text, parse, error), problems: problemsOf(error) };
  }
}

/** Everything that is wrong with a configuration, one line for each. */
export function problemsOf(error: unknown): readonly string[] {
  return error instanceof ConfigError ? error.problems : [messageOf(error)];
}

/** What was kept may be damaged or of another version. The present text is then what a person has to repair. */
function tryRead(lastGood: LastGood, file: string): string | undefined {
  try {
    return lastGood.read(file);
  } catch {
    return undefined;
  }
}

function parseKept<T>(text: string, parse: (text: string) => T, refusal: unknown): T {
  try {
    return parse(text);
  } catch {
    throw refusal;
  }
}

function parseRecord(content: string, path: string): { readonly file: string; readonly text: string } {
  try {
    const value: unknown = JSON.parse(content);
    if (isRecord(value) && typeof value['file'] === 'string' && typeof value['text'] === 'string')
      return { file: value['file'], text: value['text'] };
    throw new Error('it has no file and text');
  } catch (cause) {
    throw new Error(`${path}, a last good configuration, is not understood: ${messageOf(cause)}`, { cause });
  }
}
