// What several callers want at the same time is done in one go.

interface Next<T, R> {
  readonly items: T[];
  readonly done: Promise<R>;
}

/**
 * `work` runs for one batch at a time. What is asked for meanwhile becomes the next batch. Everybody in a batch gets what `work` resolves with
 * for it, or its error.
 */
export function gathered<T, R>(work: (items: readonly T[]) => Promise<R>): (item: T) => Promise<R> {
  let before: Promise<unknown> = Promise.resolve();
  let next: Next<T, R> | undefined;
  const open = (): Next<T, R> => {
    const items: T[] = [];
    const done = before.then(() => {
      next = undefined;
      return work(items);
    });
    before = done.catch(() => {});
    return { items, done };
  };
  return (item) => {
    next ??= open();
    next.items.push(item);
    return next.done;
  };
}
