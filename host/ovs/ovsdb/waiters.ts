// Promises that wait for a condition of a state. The condition is checked when the wait begins and after each change. There is no polling.

export interface Waiters<S> {
  /** Resolves with what `look` finds; rejects with what it throws, or with `late()` after `timeout` milliseconds. */
  wait<T>(look: (state: S) => T | undefined, timeout: number, late: () => Error): Promise<T>;
  /** Tells that the state has changed. Changes that arrive together are checked once. */
  recheck(): void;
  fail(error: Error): void;
}

interface Waiter<S> {
  /** Checks the state. Returns true when the wait is over. */
  readonly check: (state: S) => boolean;
  readonly fail: (error: Error) => void;
}

/** Makes waiters on a state that may be absent for a while. While it is absent, no wait finds anything. */
export function waitersOn<S>(state: () => S | undefined): Waiters<S> {
  const waiting = new Set<Waiter<S>>();
  let rechecking = false;

  return {
    wait: <T>(look: (state: S) => T | undefined, timeout: number, late: () => Error): Promise<T> => {
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      const check = (now: S) => {
        try {
          const found = look(now);
          if (found === undefined) return false;
          resolve(found);
        } catch (error) {
          reject(error);
        }
        return true;
      };
      const now = state();
      if (now !== undefined && check(now)) return promise;
      const waiter: Waiter<S> = { check, fail: reject };
      waiting.add(waiter);
      const timer = setTimeout(() => reject(late()), timeout);
      return promise.finally(() => {
        clearTimeout(timer);
        waiting.delete(waiter);
      });
    },
    recheck: () => {
      if (rechecking) return;
      rechecking = true;
      queueMicrotask(() => {
        rechecking = false;
        const now = state();
        if (now === undefined) return;
        for (const waiter of waiting) if (waiter.check(now)) waiting.delete(waiter);
      });
    },
    fail: (error) => {
      for (const waiter of waiting) waiter.fail(error);
    },
  };
}
