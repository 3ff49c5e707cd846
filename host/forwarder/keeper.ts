// Keeps a forwarder's pairs: a forwarder that restarted gets its pairs back, and pairs of ours that nobody wants are detached. The keeper is
// a forwarder itself, in front of the one that relays. The wanted pairs are on disk (wanted-pairs.ts).
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { makeLock } from '../base/lock.ts';
import type { Logger } from '../base/log.ts';
import type { Attached, Forwarder, Pair, PairName } from './forwarder.ts';
import type { WantedPairs } from './wanted-pairs.ts';

export interface KeeperOptions {
  readonly forwarder: Forwarder;
  readonly wanted: WantedPairs;
  readonly log: Logger;
  /** Whether a pair that nobody wants is ours, judged by its socket. Others may use the forwarder, too. */
  readonly isOurs: (socket: string) => boolean;
  /** Milliseconds between two looks at what the forwarder has. Default 1000. */
  readonly period?: number;
}

/** Begins at once, and ends when disposed; the forwarder behind it is disposed with it. */
export function keepPairs({ forwarder, wanted, log, isOurs, period = 1000 }: KeeperOptions): Forwarder {
  const ended = new AbortController();
  const lock = makeLock();
  const say = sayOnce(log);
  let trouble: string | undefined;

  const restore = async (pair: Pair) => {
    await lock(pair.device, async () => {
      // It may have been given up while others were restored.
      if (wanted.find(pair.device) !== pair || ended.signal.aborted) return;
      await forwarder.attach(pair);
      log.info(pair, 'the forwarder had lost a pair and has it again');
    });
  };
  const drop = async (pair: PairName) => {
    await lock(pair.device, async () => {
      if (wanted.find(pair.device) !== undefined || ended.signal.aborted) return;
      await forwarder.detach(pair);
      log.info(pair, 'the forwarder had a pair of ours that nobody wants');
    });
  };
  const reconcile = async () => {
    const has = await forwarder.attached();
    const strays = has.filter(({ device, socket }) => isOurs(socket) && wanted.find(device) === undefined);
    const missing = wanted.list().filter((pair) => !has.some((each) => isSame(each, pair)));
    const failures: string[] = [];
    // One after the other: so do forwarders, and each question has a time of its own.
    for (const pair of strays) await drop(pair).catch((error: unknown) => failures.push(messageOf(error)));
    for (const pair of missing) await restore(pair).catch((error: unknown) => failures.push(messageOf(error)));
    return failures.length === 0 ? undefined : failures.join('; ');
  };
  const keep = async () => {
    while (!ended.signal.aborted) {
      trouble = await reconcile().catch(messageOf);
      say(trouble);
      await sleep(period, undefined, { signal: ended.signal, ref: false }).catch(() => {});
    }
  };
  const keeping = keep();

  return {
    ...(forwarder.port && { port: forwarder.port }),
    attach: (pair) =>
      lock(pair.device, async () => {
        const before = wanted.find(pair.device);
        await wanted.put(pair);
        try {
          if (before !== undefined && !isSame(before, pair)) await forwarder.detach(before);
          await forwarder.attach(pair);
        } catch (error) {
          await wanted.remove(pair.device);
          throw error;
        }
      }),
    // No longer wanted first: when the forwarder does not answer now, the keeping takes the pair away later. On a read-only disk it is wanted
    // again after our restart; then the attachment's journal entry, which could not be removed either, has it detached once more.
    detach: (pair) =>
      lock(pair.device, async () => {
        await wanted
          .remove(pair.device)
          .catch((error: unknown) => log.error({ ...pair, error: messageOf(error) }, 'a pair can not be forgotten'));
        await forwarder.detach(pair);
      }),
    attached: async (): Promise<readonly Attached[]> => await forwarder.attached(),
    health: async () => (await forwarder.health()) ?? trouble,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await keeping;
      await forwarder[Symbol.asyncDispose]();
    },
  };
}

function isSame(a: PairName, b: PairName): boolean {
  return a.device === b.device && a.socket === b.socket;
}

/** Trouble that repeats each second is logged once, and its end is logged once. */
function sayOnce(log: Logger): (trouble: string | undefined) => void {
  let last: string | undefined;
  return (trouble) => {
    if (trouble === last) return;
    last = trouble;
    if (trouble === undefined) log.info('the forwarder has all its pairs');
    else log.warn({ error: trouble }, 'the forwarder has not all its pairs; tried again every second');
  };
}
