// One after the other for the same device, side by side for different ones.

export type Lock = <T>(device: string, work: () => Promise<T>) => Promise<T>;

export function makeLock(): Lock {
  const tails = new Map<string, Promise<unknown>>();
  return async (device, work) => {
    const mine = (tails.get(device) ?? Promise.resolve()).then(work);
    const tail = mine.catch(() => undefined);
    tails.set(device, tail);
    try {
      return await mine;
    } finally {
      if (tails.get(device) === tail) tails.delete(device);
    }
  };
}
