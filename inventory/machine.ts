// Keeps the list of the machine's PFs and VFs up to date. It compares whole snapshots. Kernel events say when to look; a slow tick looks anyway.
import { messageOf } from '../host/base/errors.ts';
import type { Host } from '../host/host.ts';
import { readNotices } from '../host/netlink/notices.ts';
import { readUevents } from '../host/netlink/uevent.ts';
import { type AskKernel, type Nics, scanNics } from '../host/nic/nics.ts';
import type { Vf } from '../host/nic/vf.ts';

export interface Changes {
  readonly added: readonly Vf[];
  /** The records before they vanished. */
  readonly removed: readonly Vf[];
  readonly changed: readonly { readonly before: Vf; readonly after: Vf }[];
}

export interface InventoryOptions {
  readonly host: Pick<Host, 'root' | 'log'>;
  readonly ask: AskKernel;
  /** The addresses of the VFs that kubelet gave away. */
  readonly allocated: () => ReadonlySet<string>;
  /** The events that say when to look, besides the tick. A test passes its own. Default: the kernel's device and network events. */
  readonly events?: readonly ((signal: AbortSignal) => AsyncIterable<unknown>)[];
  /** Milliseconds from an event to the look. Further events in that time cause no further look. Default 50. */
  readonly settle?: number;
  /** Milliseconds between two looks without any event. Default 30 000. */
  readonly tick?: number;
  /** Called after every look, even when nothing changed. */
  readonly seen: (nics: Nics, changes: Changes) => void;
}

export interface Inventory {
  /** The result of the last look that succeeded. Undefined before the first. */
  readonly nics: Nics | undefined;
  /** Why the last look failed. Undefined when it succeeded. */
  readonly problem: string | undefined;
  /** How many milliseconds the last look took. */
  readonly duration: number;
  /** The number of looks that succeeded, and the time when the last one ended, in milliseconds of performance.now(). */
  readonly looks: number;
  readonly lookedAt: number;
  /** Looks now. If a look is under way, another one follows. Never rejects. */
  look(): Promise<void>;
  stop(): Promise<void>;
}

type State = { -readonly [K in 'nics' | 'problem' | 'duration' | 'looks' | 'lookedAt']: Inventory[K] };

/** Starts following. The caller calls `look` for the first time. */
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
   * The first event of a burst starts the wait, so that a machine that never falls silent is looked at, too. But looking takes at most a third
   * of the time.
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
      clearTimeout(settling); // last, because an event may have come in while the listeners ended
    },
  };
}

/** Subsystems whose events can change what scanNics sees. `queues` and the like send thousands of events. readNotices reports netdevs, too. */
const subsystems: ReadonlySet<string | undefined> = new Set(['pci', 'net', 'vfio', 'vfio-dev', 'iommu', 'drivers']);

async function* deviceEvents(signal: AbortSignal): AsyncGenerator<unknown> {
  for await (const event of readUevents(signal)) if (event === 'lost' || subsystems.has(event.subsystem)) yield event;
}

/** Matches VFs by address. */
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

/** The new list, but with the old records of unchanged VFs, so that a comparison by identity shows what changed. */
function keepRecords(before: readonly Vf[], after: readonly Vf[], { added, changed }: Changes): readonly Vf[] {
  const old = new Map(before.map((vf) => [vf.address, vf]));
  const fresh = new Set([...added, ...changed.map((one) => one.after)]);
  return after.map((vf) => (fresh.has(vf) ? vf : (old.get(vf.address) ?? vf)));
}

/**
 * A change of the PF's number of VFs is not a change of each VF. All records have their keys in the same order, so their texts can be
 * compared. That is ten times faster than a comparison which does not rely on the order.
 */
function same(a: Vf, b: Vf): boolean {
  return textOf(a) === textOf(b);
}

function textOf({ pf: { numVfs: _, ...pf }, ...vf }: Vf): string {
  return JSON.stringify([vf, pf]);
}
