// Keeps a forwarder's pairs: a forwarder that restarted gets its pairs back, and pairs that were given up are detached. The keeper is
// a forwarder itself, in front of the one that relays. The wanted pairs are on disk (wanted-pairs.ts).
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, Unavailable } from '../base/errors.ts';
import { makeLock } from '../base/lock.ts';
import type { Logger } from '../base/log.ts';
import { findStrangersSocket } from '../files/unix-socket.ts';
import type { Attached, Forwarder, Pair, PairName } from './forwarder.ts';
import type { WantedPairs } from './wanted-pairs.ts';

export interface KeeperOptions {
  readonly forwarder: Forwarder;
  readonly wanted: WantedPairs;
  readonly log: Logger;
  /** Whether a pair that nobody wants is ours, judged by its socket. Others may use the forwarder, too. */
  readonly isOurs: (socket: string) => boolean;
  /** Which attachment may have the device, in words. Undefined when it is proven that none has it. */
  readonly attachmentOf: (device: string) => string | undefined;
  /** Whether a process still has the consumer's socket open. */
  readonly isServed: (socket: string) => boolean;
  /** Milliseconds between two looks at what the forwarder has. Default 1000. */
  readonly period?: number;
  /** Milliseconds that a pair may stay unconnected although its consumer's socket is there. Default 10 000. */
  readonly meeting?: number;
}

/** Begins at once, and ends when disposed; the forwarder behind it is disposed with it. */
export function keepPairs(options: KeeperOptions): Forwarder {
  const { forwarder, wanted, log, isOurs, attachmentOf, isServed, period = 1000, meeting = 10_000 } = options;
  const ended = new AbortController();
  const lock = makeLock();
  const say = sayOnce(log);
  let trouble: string | undefined;
  /** Devices whose pairs were given up, but which the forwarder may still have. */
  const givenUp = new Set(wanted.outdated.map(({ device }) => device));
  /** Pairs that nothing here knows, as they were last seen: their pods may live, with our directory lost or not understood. */
  let orphans: readonly PairName[] = [];
  const estranged = findEstranged(meeting);
  for (const path of wanted.strange)
    log.error({ path }, 'a wanted pair is not understood; it and what it stands for are left alone');

  const serving = ({ socket }: PairName) => (isServed(socket) ? 'a process still serves that socket' : undefined);
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
      if (!givenUp.has(pair.device) || ended.signal.aborted) return;
      await forwarder.detach(pair);
      givenUp.delete(pair.device);
      log.info(pair, 'the forwarder still had a pair that was given up');
    });
  };
  const reunite = async ({ device }: PairName) => {
    await lock(device, async () => {
      const pair = wanted.find(device);
      if (pair === undefined || ended.signal.aborted) return;
      log.warn(pair, 'the forwarder has not met a consumer whose socket is there; the pair is detached and attached once');
      await forwarder.detach(pair);
      await forwarder.attach(pair);
    });
  };
  const notice = (found: readonly PairName[]) => {
    for (const { device, socket } of found.filter((each) => !orphans.some((known) => isSame(known, each))))
      log.warn(
        { device, socket },
        'the forwarder has a pair that nothing here knows; it is left alone until its device has a new owner',
      );
    orphans = found;
  };
  const reconcile = async () => {
    const has = await forwarder.attached();
    const unwanted = has.filter(({ device, socket }) => isOurs(socket) && wanted.find(device) === undefined);
    const strays = unwanted.filter(({ device }) => givenUp.has(device));
    notice(unwanted.filter(({ device }) => !givenUp.has(device)));
    const missing = wanted.list().filter((pair) => !has.some((each) => isSame(each, pair)));
    const failures: string[] = [];
    // One after the other: so do forwarders, and each question has a time of its own.
    for (const pair of strays) await drop(pair).catch((error: unknown) => failures.push(messageOf(error)));
    for (const pair of missing) await restore(pair).catch((error: unknown) => failures.push(messageOf(error)));
    const pairs = has.filter((each) => wanted.list().some((pair) => isSame(pair, each)));
    for (const pair of estranged(pairs)) await reunite(pair).catch((error: unknown) => failures.push(messageOf(error)));
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
        // Who attaches owns the device. So what the forwarder has of it was somebody's who is gone, but that needs proof.
        const orphan = orphans.find(({ device }) => device === pair.device);
        if (orphan !== undefined && before === undefined) requireNobodys(orphan, attachmentOf(orphan.device) ?? serving(orphan));
        await wanted.put(pair);
        givenUp.delete(pair.device);
        try {
          if (orphan !== undefined && before === undefined) await forwarder.detach(orphan);
          if (before !== undefined && !isSame(before, pair)) await forwarder.detach(before);
          await forwarder.attach(pair);
        } catch (error) {
          givenUp.add(pair.device);
          await wanted.remove(pair.device);
          throw error;
        }
      }),
    // No longer wanted first: when the forwarder does not answer now, the keeping takes the pair away later. On a read-only disk it is wanted
    // again after our restart; then the attachment's journal entry, which could not be removed either, has it detached once more.
    detach: (pair) =>
      lock(pair.device, async () => {
        // An ADD that was refused because of an orphan is undone like any other, and must not take it away either.
        const orphan = orphans.find(({ device }) => device === pair.device);
        const known = wanted.find(pair.device) !== undefined || givenUp.has(pair.device);
        if (orphan !== undefined && !known) requireNobodys(orphan, serving(orphan));
        givenUp.add(pair.device);
        await wanted
          .remove(pair.device)
          .catch((error: unknown) => log.error({ ...pair, error: messageOf(error) }, 'a pair can not be forgotten'));
        await forwarder.detach(pair);
        givenUp.delete(pair.device);
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

/**
 * Finds pairs that stay unconnected although the consumer's socket is there: if the consumer listens before the pair is attached, its handshake may
 * come too early for the forwarder, which then never relays. Each socket is given one more try: it may also be what a dead consumer left.
 */
function findEstranged(meeting: number): (pairs: readonly Attached[]) => readonly PairName[] {
  let seen: ReadonlyMap<string, { readonly consumer: string; readonly since: number; readonly tried: boolean }> = new Map();
  return (pairs) => {
    const now = performance.now();
    const found = pairs.flatMap(({ device, socket, unconnected }) => {
      const consumer = unconnected ? findStrangersSocket(socket) : undefined;
      if (consumer === undefined) return [];
      const before = seen.get(device);
      const known = before?.consumer === consumer ? before : { consumer, since: now, tried: false };
      const due = !known.tried && now - known.since >= meeting;
      return [{ name: { device, socket }, due, next: { ...known, tried: known.tried || due } }];
    });
    seen = new Map(found.map(({ name, next }) => [name.device, next]));
    return found.filter(({ due }) => due).map(({ name }) => name);
  };
}

function requireNobodys(orphan: PairName, why: string | undefined): void {
  if (why === undefined) return;
  throw new Unavailable(
    `the forwarder relays ${orphan.socket} to ${orphan.device} for somebody that nothing here knows, and ${why}; so it is not taken away: end that ` +
      'process or pod, or detach the pair by hand',
  );
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
