// The threads in which the kernel works on what netlink asks of it. They are libuv's, which files need as well. The kernel may keep many at a
// time: as long as one driver holds the lock of all links, every change of a link waits. So some are always left to the others.
import { Unavailable } from '../../base/errors.ts';
import { within } from '../../base/within.ts';

/** Of the eight that tools/bundle.mjs starts the servers with. */
const most = 5;
/** Milliseconds. A change takes less than 20, and some may wait for each other. */
const patience = 20_000;

interface Call {
  readonly attempt: string;
  readonly began: number;
}

export type Threads = <T>(attempt: string, call: () => Promise<T>) => Promise<T>;

/**
 * Runs calls that block in the kernel, so many at a time. Throws Unavailable when a call has no answer in time, or no thread, saying what the
 * kernel is busy with. A call that is given up so keeps its thread until the kernel is done with it, and may be done after all.
 */
export function makeThreads(limit = patience): Threads {
  const running = new Set<Call>();
  const waiting: (() => void)[] = [];
  let left = most;

  /** A thread that is given back goes to who waits longest, without being free in between. */
  const giveBack = () => {
    const next = waiting.shift();
    if (next === undefined) left += 1;
    else next();
  };

  const take = async (attempt: string) => {
    if (left > 0) {
      left -= 1;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    await within(limit, promise, () => {
      const at = waiting.indexOf(resolve);
      if (at < 0) giveBack();
      else waiting.splice(at, 1);
      throw late(attempt, limit, running.values().next().value);
    });
  };

  return async (attempt, work) => {
    await take(attempt);
    const call = { attempt, began: performance.now() };
    running.add(call);
    const done = work().finally(() => {
      running.delete(call);
      giveBack();
    });
    return await within(limit, done, () => {
      throw late(attempt, limit, call);
    });
  };
}

/** Of the whole process, as the threads are. */
export const onThread = makeThreads();

function late(attempt: string, limit: number, busy: Call | undefined): Unavailable {
  const seconds = busy === undefined ? 0 : Math.round((performance.now() - busy.began) / 1000);
  const other = busy === undefined || busy.attempt === attempt ? '' : `; for ${seconds} s it has been busy with: ${busy.attempt}`;
  return new Unavailable(
    `${attempt}: the kernel has not answered within ${limit / 1000} s${other}; a driver may be stuck (dmesg)`,
  );
}
