// Tells that something changed in one of a few directories, by inotify. A slow tick finds what inotify misses: a directory that does not exist
// yet, or was deleted and made again. The listener finds out what changed.
import { type FSWatcher, statSync, watch } from 'node:fs';

export interface DirectoryWatch {
  close(): void;
}

/** Calls `changed` after events within 10 ms of each other as one, and every `tick` milliseconds. Absent directories are fine. */
export function watchDirectories(paths: readonly string[], tick: number, changed: () => void): DirectoryWatch {
  const watches = paths.map((path) => watchOne(path, soon));
  let pending: NodeJS.Timeout | undefined;
  const timer = setInterval(look, tick);
  look();

  function soon(): void {
    pending ??= setTimeout(look, 10);
  }
  function look(): void {
    clearTimeout(pending);
    pending = undefined;
    for (const one of watches) one.renew();
    changed();
  }
  return {
    close() {
      clearInterval(timer);
      clearTimeout(pending);
      for (const one of watches) one.close();
    },
  };
}

function watchOne(path: string, event: () => void): { renew(): void; close(): void } {
  let watcher: FSWatcher | undefined;
  let watched: string | undefined;
  function close(): void {
    watcher?.close();
    watcher = undefined;
  }
  return {
    renew() {
      const present = identityOf(path);
      if (watcher !== undefined && present === watched) return;
      close();
      if (present === undefined) return;
      watched = present;
      try {
        watcher = watch(path, event).on('error', close);
      } catch {
        // The directory is gone again, or inotify has no watches left. The tick looks again.
      }
    },
    close,
  };
}

/** Undefined: it is not there, or can't be looked at. The inode number alone is given out again at once. */
function identityOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat && `${stat.dev} ${stat.ino} ${stat.birthtimeNs}`;
  } catch {
    return undefined;
  }
}
