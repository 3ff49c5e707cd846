// Tells a guest that stands still from one that is slow: a booting guest wants a processor all the time, whether it gets one or not.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds of one look, the share of them that a living guest wants a processor at the least, and how many looks decide. */
const [window, share, looks] = [4000, 0.25, 3];

/** Resolves when the process has hardly wanted to run for a while; never when it is gone or `signal` is given. */
export async function standsStill(pid: number, signal: AbortSignal): Promise<void> {
  for (let still = 0, before = wanted(pid); still < looks; ) {
    await sleep(window, undefined, { signal, ref: false });
    const now = wanted(pid);
    still = now - before < share * window ? still + 1 : 0;
    before = now;
  }
}

/** Milliseconds that its threads have run or waited for a processor. Source: Documentation/scheduler/sched-stats.rst. */
function wanted(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ').map(Number);
    sum += (ran + waited) / 1e6;
  }
  return sum;
}
