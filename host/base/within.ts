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

/** The answer, or what the signal was aborted for; then the answer is nobody's concern any more. */
export async function unlessAborted<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  answer.catch(() => {});
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    return await Promise.race([answer, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
