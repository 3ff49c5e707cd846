// Lines into a file, pipe or terminal that may be full, unread or gone at any time. Who writes them is never held up and never told: a line
// that can't be written is lost, and how many were lost is said as soon as there is room again.
import { constants, openSync, writeSync } from 'node:fs';

export interface Lines {
  /** @param line - with its end. */
  write(line: string): void;
}

/** @param notice - the line that says how many were lost. */
export function openLines(fd: number, notice: (lost: number) => string): Lines {
  const own = withoutWaiting(fd);
  let lost = 0;
  /** What is left of a line that was begun: the next one goes behind it. */
  let rest: Uint8Array = Buffer.alloc(0);
  const flush = (bytes: Uint8Array): Uint8Array => {
    let left = bytes;
    try {
      while (left.length > 0) left = left.subarray(writeSync(own, left));
    } catch {
      // ENOSPC, EPIPE, EAGAIN, EIO, EBADF: there is nobody to be told.
    }
    return left;
  };
  return {
    write(line) {
      rest = flush(rest);
      if (rest.length > 0) {
        lost++;
        return;
      }
      const bytes = Buffer.from(lost === 0 ? line : `${notice(lost)}${line}`);
      const left = flush(bytes);
      const begun = left.length < bytes.length;
      rest = begun ? left : rest;
      lost = begun ? 0 : lost + 1;
    },
  };
}

/**
 * A pipe that nobody empties would stop a blocking write for ever, and this process with it. Whoever shares the descriptor with us must not
 * notice, so it is opened once more. A socket can't be (ENXIO), and is written to as it is.
 */
function withoutWaiting(fd: number): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    return fd;
  }
}
