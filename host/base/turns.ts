// Long synchronous work in steps: done at once, or in slices between which others get their turn (kubelet waits for an answer in
// milliseconds). The work is a generator that yields wherever it could pause.
import { setImmediate as yieldToOthers } from 'node:timers/promises';

export type Steps<T> = Generator<undefined, T>;

/** Milliseconds of work at a stretch. */
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
