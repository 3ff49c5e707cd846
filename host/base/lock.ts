// One after the other for the same key, side by side for different ones.

import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from './errors.ts';

export type Lock = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export interface Waiting {
  readonly key: string;
  /** What it waits for, for the error. */
  readonly what: string;
  /** Milliseconds. */
  readonly patience: number;
  /** Gives up sooner. */
  readonly signal?: AbortSignal | undefined;
}

/** Takes a lock while holding others: two that wait for each other end by this. @throws Unavailable after that time; then `work` never runs. */
export async function lockWithin<T>(lock: Lock, { key, what, patience, signal }: Waiting, work: () => Promise<T>): Promise<T> {
  let state: 'waiting' | 'running' | 'given up' = 'waiting';
  const done = lock(key, async () => {
    if (state === 'given up') return undefined;
    state = 'running';
    return { value: await work() };
  });
  const timer = new AbortController();
  const sooner = AbortSignal.any([timer.signal, ...(signal === undefined ? [] : [signal])]);
  const late = sleep(patience, undefined, { signal: sooner }).catch(() => undefined);
  await Promise.race([done, late]).finally(() => timer.abort());
  if (state === 'waiting') {
    state = 'given up';
    signal?.throwIfAborted();
    throw new Unavailable(`${what}: still under way after ${patience / 1000} s`);
  }
  const result = await done;
  if (result === undefined) throw new Unavailable(`${what}: still under way`);
  return result.value;
}

export function makeLock(): Lock {
  const tails = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const before = tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const tail = mine.catch(() => undefined);
    tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (tails.get(key) === tail) tails.delete(key);
    }
  };
}
