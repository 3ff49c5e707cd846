// Tells when a file may have changed and has come to rest, so that it is not read half-written. The file's directory is watched, because editors
// and ConfigMap mounts replace the file (kubelet swaps the link `..data` beside it). Whoever reads the file finds out whether it differs.
import { dirname } from 'node:path';
import { stampOf } from './stamp.ts';
import { watchDirectories } from './watch-directories.ts';

export interface FollowOptions {
  readonly file: string;
  /** Milliseconds without a change before it is told. A file that never comes to rest is told after ten times as long. Default 100. */
  readonly settle?: number | undefined;
  /** Milliseconds between two looks without any event. Default 30 000. */
  readonly tick?: number | undefined;
  readonly changed: () => void;
}

export interface FileWatch {
  close(): void;
}

/** Calls `changed` once soon after the start, too. */
export function followFile({ file, settle = 100, tick = 30_000, changed }: FollowOptions): FileWatch {
  let settling: NodeJS.Timeout | undefined;
  let stamp: string | undefined;
  let since = 0;
  const watch = watchDirectories([dirname(file)], tick, lookSoon);

  /** Most events come from other files in the directory. They start a wait, but don't prolong it. */
  function lookSoon(): void {
    if (settling !== undefined) return;
    stamp = stampOf(file);
    since = performance.now();
    settling = setTimeout(lookSettled, settle);
  }

  function lookSettled(): void {
    const before = stamp;
    stamp = stampOf(file);
    if (stamp !== before && performance.now() - since < 10 * settle) {
      settling = setTimeout(lookSettled, settle);
      return;
    }
    settling = undefined;
    changed();
  }

  return {
    close() {
      watch.close();
      clearTimeout(settling);
    },
  };
}
