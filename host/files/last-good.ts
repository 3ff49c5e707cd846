// The last good text of a configuration file, kept in a file of its own. While the present text is refused, it tells a person what is in force,
// and a process that starts takes it.
import { dirname } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
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
      const kept = content === undefined ? undefined : parse(content, path);
      return kept?.file === file ? kept.text : undefined;
    },
    write(file, text) {
      makeDirectory(dirname(path), 0o755);
      replace(path, `${JSON.stringify({ file, text })}\n`, 0o644);
    },
    remove: () => removeFile(path),
  };
}

function parse(content: string, path: string): { readonly file: string; readonly text: string } {
  try {
    const value: unknown = JSON.parse(content);
    if (isRecord(value) && typeof value['file'] === 'string' && typeof value['text'] === 'string')
      return { file: value['file'], text: value['text'] };
    throw new Error('it has no file and text');
  } catch (cause) {
    throw new Error(`${path}, a last good configuration, is not understood: ${messageOf(cause)}`, { cause });
  }
}
