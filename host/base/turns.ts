// Long synchronous work, done at once or in slices. Between the slices others get their turn, because kubelet waits milliseconds for an
// answer. The work is a generator that yields wherever it can pause.
import { setImmediate as yieldToOthers } from 'node:timers/promises';

export type Steps<T> = Generator<undefined, T>;

/** Milliseconds of work in one slice. */
const slice = 2;

export async function inTurns<T>(work: Steps<T>): Promise<T> {
  for (let since = performance.now(); ; ) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() - since < slice) continue;
    await yieldToOthers();
    since = performance.now();
  }
}

export function atOnce<T>(work: Steps<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
