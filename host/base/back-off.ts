// How long to wait before the next attempt: 100 ms, doubled after each failure, at most 5 s; less when somebody is waiting.

export interface BackOff {
  /** Resolves when the next attempt is due. */
  pause(): Promise<void>;
  /** Somebody needs it now: a pause under way ends within 100 ms, whatever it has grown to. */
  hurry(): void;
  /** The attempt was a success. */
  reset(): void;
}

const first = 100;
const longest = 5000;

export function backOff(): BackOff {
  let next = first;
  let hurry = () => {};
  return {
    pause: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, next);
      hurry = () => {
        hurry = () => {};
        next = first;
        clearTimeout(timer);
        setTimeout(resolve, first);
      };
      next = Math.min(2 * next, longest);
      return promise;
    },
    hurry: () => hurry(),
    reset: () => {
      next = first;
    },
  };
}
