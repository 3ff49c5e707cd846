// Does the same with many things, some of them at the same time.

/** Runs `work` on each item, at most `width` at the same time. Resolves when all are done. Throws what `work` throws first. */
export async function forEachOf<T>(items: Iterable<T>, width: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = Iterator.from(items);
  const worker = async () => {
    for (let next = left.next(); !next.done; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
