// Waits, with a limit, for something that we can't hurry, such as the kernel or another daemon.
import { setTimeout as sleep } from 'node:timers/promises';

/** Looks every 20 ms until it holds; after so many seconds throws, saying `what` did not come true. */
export async function until(holds: () => Promise<boolean>, what: string, seconds = 30): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(20);
  }
}
