// Limits how long an answer is waited for, where a late answer is useless.
import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves with the answer, or with what `late` gives when no answer came within that many milliseconds. A failure after that is ignored. */
export async function within<T>(milliseconds: number, answer: Promise<T>, late: () => T): Promise<T> {
  const timer = new AbortController();
  answer.catch(() => {});
  try {
    return await Promise.race([answer, sleep(milliseconds, undefined, { signal: timer.signal, ref: false }).then(late)]);
  } finally {
    timer.abort();
  }
}
