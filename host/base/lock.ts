// One after the other for the same key, side by side for different ones.

import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from './errors.ts';

export interface Lock {
  <T>(key: string, work: () => Promise<T>): Promise<T>;
  /**
   * Only when nobody has the key or waits for it; otherwise it resolves at once and `work` does not run. `wanted` is aborted as soon as
   * somebody else wants the key.
   */
  ifFree(key: string, work: (wanted: AbortSignal) => Promise<void>): Promise<void>;
}

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

interface Place {
  readonly done: Promise<unknown>;
  /** Of who lets others go first. */
  readonly wanted?: AbortController;
}

export function makeLock(): Lock {
  /** The last in each queue. */
  const last = new Map<string, Place>();
  const queue = async <T>(key: string, work: () => Promise<T>, wanted?: AbortController): Promise<T> => {
    const before = last.get(key);
    before?.wanted?.abort(new Unavailable('somebody else goes on with it'));
    const mine = (before?.done ?? Promise.resolve()).then(work);
    const place = { done: mine.catch(() => undefined), ...(wanted && { wanted }) };
    last.set(key, place);
    try {
      return await mine;
    } finally {
      if (last.get(key) === place) last.delete(key);
    }
  };
  const ifFree: Lock['ifFree'] = async (key, work) => {
    if (last.has(key)) return;
    const wanted = new AbortController();
    await queue(key, () => work(wanted.signal), wanted);
  };
  return Object.assign(<T>(key: string, work: () => Promise<T>) => queue(key, work), { ifFree });
}
