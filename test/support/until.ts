// Waiting for what is not ours to hurry: the kernel, another daemon.
import { setTimeout as sleep } from 'node:timers/promises';

/** Looks every 20 ms until it holds; after 10 s throws, saying `what` did not come true. */
export async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within 10 s: ${what}`);
    await sleep(20);
  }
}
