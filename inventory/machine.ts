// The machine's pfs and vfs, kept up to date: whole snapshots, compared. Kernel events say when to look, a slow tick looks anyway.
import { messageOf } from '../host/base/errors.ts';
import type { Host } from '../host/host.ts';
import { readNotices } from '../host/netlink/notices.ts';
import { readUevents } from '../host/netlink/uevent.ts';
import { type AskKernel, type Nics, scanNics } from '../host/nic/nics.ts';
import type { Vf } from '../host/nic/vf.ts';

export interface Changes {
  readonly added: readonly Vf[];
  /** As they last were. */
  readonly removed: readonly Vf[];
  readonly changed: readonly { readonly before: Vf; readonly after: Vf }[];
}

export interface InventoryOptions {
  readonly host: Pick<Host, 'root' | 'log'>;
  readonly ask: AskKernel;
  /** Addresses of the vfs that kubelet gave away. */
  readonly allocated: () => ReadonlySet<string>;
  /** What says that it is time to look, besides the tick; a test has its own. Default: the kernel's device and network events. */
  readonly events?: readonly ((signal: AbortSignal) => AsyncIterable<unknown>)[];
  /** Milliseconds from an event to the look, in which further ones are gathered. Default 50. */
  readonly settle?: number;
  /** Milliseconds between two looks without any event. Default 30 000. */
  readonly tick?: number;
  /** After every look, also one that changed nothing. */
  readonly seen: (nics: Nics, changes: Changes) => void;
}

export interface Inventory {
  /** As of the last look that succeeded; undefined before the first. */
  readonly nics: Nics | undefined;
  /** Why the last look failed; undefined: it did not. */
  readonly problem: string | undefined;
  /** Milliseconds that the last look took. */
  readonly duration: number;
  /** How many looks succeeded, and when the last one ended, in milliseconds of performance.now(). */
  readonly looks: number;
  readonly lookedAt: number;
  /** Looks now, once more if a look is under way. Never rejects. */
  look(): Promise<void>;
  stop(): Promise<void>;
}

type State = { -readonly [K in 'nics' | 'problem' | 'duration' | 'looks' | 'lookedAt']: Inventory[K] };

/** Starts following; the first `look` is the caller's. */
export function followInventory(options: InventoryOptions): Inventory {
  const { host, settle = 50, tick = 30_000, events = [deviceEvents, readNotices] } = options;
  const ending = new AbortController();
  const timer = setInterval(look, tick);
  let settling: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let again = false;
  const state: State = { nics: undefined, problem: undefined, duration: 0, looks: 0, lookedAt: performance.now() };
  const listening = Promise.all(events.map(listen));

  async function listen(source: (signal: AbortSignal) => AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const _ of source(ending.signal)) settling ??= setTimeout(lookSettled, wait());
    } catch (error) {
      host.log.error({ error: messageOf(error) }, `${source.name} ended; without them VFs are looked at every ${tick} ms only`);
    }
  }

  /**
   * The first event of a burst starts the wait, so that a machine that never falls silent is looked at all the same; but no more than a
   * third of the time goes into looking.
   */
  function wait(): number {
    return Math.max(settle, state.lookedAt + 2 * state.duration - performance.now());
  }

  function lookSettled(): void {
    settling = undefined;
    if (!ending.signal.aborted) void look();
  }

  function look(): Promise<void> {
    again = looking !== undefined;
    looking ??= lookAll().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  async function lookAll(): Promise<void> {
    do {
      again = false;
      await lookOnce();
    } while (again && !ending.signal.aborted);
  }

  async function lookOnce(): Promise<void> {
    const start = performance.now();
    try {
      const found = await scanNics(host, { ask: options.ask, allocated: options.allocated(), before: state.nics });
      const before = state.nics?.vfs ?? [];
      const changes = compare(before, found.vfs);
      const nics = { ...found, vfs: keepRecords(before, found.vfs, changes) };
      const end = performance.now();
      Object.assign(state, {
        nics,
        problem: undefined,
        duration: end - start,
        looks: state.looks + 1,
        lookedAt: end,
      } satisfies State);
      options.seen(nics, changes);
    } catch (error) {
      if (state.problem !== messageOf(error))
        host.log.error({ error: messageOf(error) }, 'looking for VFs failed; the last list stays in force');
      state.problem = messageOf(error);
    }
  }

  return {
    get nics() {
      return state.nics;
    },
    get problem() {
      return state.problem;
    },
    get duration() {
      return state.duration;
    },
    get looks() {
      return state.looks;
    },
    get lookedAt() {
      return state.lookedAt;
    },
    look,
    async stop() {
      ending.abort();
      clearInterval(timer);
      await Promise.all([listening, looking]);
      clearTimeout(settling); // last: what listened may have heard something while it ended
    },
  };
}

/** Subsystems whose events can change what scanNics sees; `queues` and the like come by the thousand. Netdevs that matter are in readNotices too. */
const subsystems: ReadonlySet<string | undefined> = new Set(['pci', 'net', 'vfio', 'vfio-dev', 'iommu', 'drivers']);

async function* deviceEvents(signal: AbortSignal): AsyncGenerator<unknown> {
  for await (const event of readUevents(signal)) if (event === 'lost' || subsystems.has(event.subsystem)) yield event;
}

/** Vfs are matched by address. */
function compare(before: readonly Vf[], after: readonly Vf[]): Changes {
  const old = new Map(before.map((vf) => [vf.address, vf]));
  const present = new Set(after.map((vf) => vf.address));
  return {
    added: after.filter((vf) => !old.has(vf.address)),
    removed: before.filter((vf) => !present.has(vf.address)),
    changed: after.flatMap((vf) => {
      const earlier = old.get(vf.address);
      return earlier === undefined || same(earlier, vf) ? [] : [{ before: earlier, after: vf }];
    }),
  };
}

/** The new list, with the old record of every vf that has not changed: whoever compares by identity sees what changed. */
function keepRecords(before: readonly Vf[], after: readonly Vf[], { added, changed }: Changes): readonly Vf[] {
  const old = new Map(before.map((vf) => [vf.address, vf]));
  const fresh = new Set([...added, ...changed.map((one) => one.after)]);
  return after.map((vf) => (fresh.has(vf) ? vf : (old.get(vf.address) ?? vf)));
}

/**
 * How many VFs the PF has is no news of each of them. Records of one maker have their keys in one order; this is ten times faster than a
 * comparison that can't know that.
 */
function same(a: Vf, b: Vf): boolean {
  return textOf(a) === textOf(b);
}

function textOf({ pf: { numVfs: _, ...pf }, ...vf }: Vf): string {
  return JSON.stringify([vf, pf]);
}
