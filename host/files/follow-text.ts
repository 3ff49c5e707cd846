// The text of a few files in one directory, read anew whenever something there changes. ConfigMap and Secret mounts replace all of their files
// at once, by a link beside them, so files that belong together are read together.
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { findContent } from './plain.ts';
import { type DirectoryWatch, watchDirectories } from './watch-directories.ts';

export interface Texts {
  readonly directory: string;
  readonly names: readonly string[];
  readonly log: Logger;
  /** Called with all texts at the beginning and when one has changed; undefined for a file that is not there. It may throw: then it was not read. */
  readonly changed: (texts: readonly (string | undefined)[]) => void;
  /** Milliseconds between two looks without any event. Default 30 000. */
  readonly tick?: number;
}

export function followTexts({ directory, names, log, changed, tick = 30_000 }: Texts): DirectoryWatch {
  let seen: string | undefined;
  return watchDirectories([directory], tick, () => {
    try {
      const texts = names.map((name) => findContent(join(directory, name))?.toString());
      const key = JSON.stringify(texts);
      if (key === seen) return;
      seen = key;
      changed(texts);
    } catch (error) {
      log.error({ directory, names, error: messageOf(error) }, 'not taken over; what was read before stays in force');
    }
  });
}
