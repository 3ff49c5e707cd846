// A limit to how long an answer is waited for, where a late one is of no use.
import { setTimeout as sleep } from 'node:timers/promises';

/** The answer; what `late` gives when it has not come within so many milliseconds, and then a failure of it is nobody's concern. */
export async function within<T>(milliseconds: number, answer: Promise<T>, late: () => T): Promise<T> {
  const timer = new AbortController();
  answer.catch(() => {});
  try {
    return await Promise.race([answer, sleep(milliseconds, undefined, { signal: timer.signal, ref: false }).then(late)]);
  } finally {
    timer.abort();
  }
}
