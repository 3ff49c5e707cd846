// How long to wait before the next attempt: 100 ms, doubled after each failure, at most 5 s. Shorter when somebody waits for it.

export interface BackOff {
  /** Resolves when the next attempt is due. */
  pause(): Promise<void>;
  /** Call it when somebody needs the attempt now. A pause that is under way then ends within 100 ms. */
  hurry(): void;
  /** Call it when the attempt succeeded. */
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
