// Keeps the holdings in step with kubelet. Our own Allocates count at once; PodResources and the checkpoint file are read regularly.
// inventory/holdings.ts has the rules, and witnesses.ts asks kubelet. This file remembers, and tells when something changed.
import type { Host } from '../../host/host.ts';
import { type Held, type Holding, type Holdings, heldTwice, reconcile, sameHolders, take } from '../../inventory/holdings.ts';
import type { Timing } from './timing.ts';
import { type Asked, askList, type Checkpoint, openCheckpoint } from './witnesses.ts';

export interface AllocationsOptions extends Asked {
  readonly host: Pick<Host, 'root' | 'log'>;
  readonly timing: Pick<Timing, 'reconcile' | 'naming' | 'grace' | 'doubt'>;
  readonly changed: () => void;
  /** Makes kubelet write its checkpoint. */
  readonly rewrite: () => void;
}

export interface Allocations {
  /** The present holdings. The map changes with each Allocate. */
  readonly holdings: Holdings;
  /** Why nothing is known yet. Undefined once something is known. */
  readonly unknown: string | undefined;
  take(ids: readonly string[], resource: string): void;
  /** Asks kubelet now. Never rejects. */
  refresh(): Promise<void>;
  /** Tells that something happened in one of kubelet's directories. */
  look(): void;
  stop(): Promise<void>;
}

/** Starts asking. The caller calls `refresh` for the first time, because it may want to wait for it. */
export function keepAllocations(options: AllocationsOptions): Allocations {
  const { host, changed, timing } = options;
  const checkpoint = openCheckpoint(host, options.kubeletDir);
  let holdings = new Map<string, Holding>();
  let unknown: string | undefined = 'kubelet was not asked yet';
  let asking: Promise<void> | undefined;
  /** The kubelet that has reported its pods, identified by its socket. */
  let informed: string | undefined;
  /** The ids that only the checkpoint names, and when kubelet was last made to write it because of them. */
  let doubted: { readonly ids: ReadonlySet<string>; readonly at: number } = { ids: new Set(), at: 0 };
  let said = '';
  const timer = setInterval(refresh, timing.reconcile);

  function refresh(): Promise<void> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  /**
   * A unit is held when the list or the checkpoint names it. The list lacks the units of ordinary init containers and, at kubelet's start, the
   * pods that kubelet does not know yet. The checkpoint lacks neither, but it may name pods that ended since it was written.
   */
  async function ask(): Promise<void> {
    const asked = performance.now();
    const list = await askList(options, informed);
    const note = checkpoint.read();
    if (list.believed) informed = list.by;
    const known = unknown === undefined || list.believed || note.held !== undefined;
    const problems = [...list.problems, ...note.problems];
    const held = [...list.held, ...(note.held ?? [])];
    const now = performance.now();
    const complete = list.believed && note.held !== undefined;
    replace(reconcile(holdings, { held, complete, asked, now }, timing), known ? undefined : problems.join('; '));
    say([...problems, ...heldTwice(list.held)]);
    doubt(list.believed ? list.held : held, note, now);
  }

  /** A pod that ended stays in the checkpoint until kubelet writes it again. That may take hours, so kubelet is made to write it. */
  function doubt(listed: readonly Held[], { held = [] }: Checkpoint, now: number): void {
    const names = new Set(listed.map(({ id }) => id));
    const ids = new Set(held.map(({ id }) => id)).difference(names);
    const fresh = ids.isSubsetOf(doubted.ids) && now - doubted.at < timing.doubt;
    doubted = { ids, at: fresh ? doubted.at : now };
    if (ids.size > 0 && !fresh) options.rewrite();
  }

  function replace(next: Map<string, Holding>, why: string | undefined): void {
    const same = sameHolders(holdings, next) && unknown === why;
    holdings = next;
    unknown = why;
    if (!same) changed();
  }

  /** Logs once per change, because kubelet is asked every few seconds. */
  function say(problems: readonly string[]): void {
    const text = problems.join('; ');
    if (text === said) return;
    said = text;
    if (text === '') host.log.info('kubelet says which VFs are held');
    else host.log.warn({ problems }, 'which VFs are held is not clear');
  }

  return {
    get holdings() {
      return holdings;
    },
    get unknown() {
      return unknown;
    },
    take(ids, resource) {
      if (take(holdings, ids, resource, performance.now())) changed();
    },
    refresh,
    look() {
      if (doubted.ids.size > 0 && checkpoint.hasChanged()) void refresh();
    },
    async stop() {
      clearInterval(timer);
      await asking;
    },
  };
}
