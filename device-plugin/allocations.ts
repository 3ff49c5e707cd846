// Keeps what is held in step with kubelet: our own Allocates at once, PodResources regularly, the checkpoint file until kubelet answers.
// The rules are in holdings.ts; this asks, remembers and says when something changed.
import { join } from 'node:path';
import { messageOf } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import { readCheckpoint } from '../host/kubelet-checkpoint.ts';
import { listPodDevices, type PodName } from '../host/podresources.ts';
import { type Held, type Holdings, heldTwice, reconcile, sameHolders, take } from './holdings.ts';

export interface AllocationsOptions {
  readonly host: Pick<Host, 'root' | 'log'>;
  /** As the machine sees it, e.g. `/var/lib/kubelet`. */
  readonly kubeletDir: string;
  /** The pod we run in. A list without it comes from a kubelet that hasn't learnt of its pods yet, and frees nothing. */
  readonly ownPod?: PodName;
  /** Milliseconds between two questions, and without a word of a vf until it is free. */
  readonly interval: number;
  readonly grace: number;
  readonly changed: () => void;
}

export interface Allocations {
  readonly holdings: Holdings;
  /** Why nothing is known yet; undefined once something is. */
  readonly unknown: string | undefined;
  take(ids: readonly string[], resource: string): void;
  /** Asks kubelet now. Never rejects. */
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts asking. The first `refresh` is the caller's, who may want to wait for it. */
export function keepAllocations(options: AllocationsOptions): Allocations {
  const { host, changed } = options;
  let holdings: Holdings = new Map();
  let unknown: string | undefined = 'kubelet was not asked yet';
  let asking: Promise<void> | undefined;
  let kubeletAnswered = false;
  let said = '';
  const timer = setInterval(refresh, options.interval);

  function refresh(): Promise<void> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  async function ask(): Promise<void> {
    try {
      const list = await listHeld(options);
      kubeletAnswered = true;
      adopt(list.held, list.believed ? options.grace : Number.POSITIVE_INFINITY);
      say(heldTwice(list.held));
    } catch (error) {
      // A checkpoint keeps entries of pods long gone: once kubelet itself has answered, what we know is better.
      const fallback = kubeletAnswered ? [] : adoptCheckpoint();
      say([messageOf(error), ...fallback]);
    }
  }

  /** What went wrong, in words. */
  function adoptCheckpoint(): readonly string[] {
    try {
      const entries = readCheckpoint(host, join(options.kubeletDir, 'device-plugins/kubelet_internal_checkpoint')) ?? [];
      adopt(
        entries.flatMap(({ ids, resource }) => ids.map((id) => ({ id, resource }))),
        options.grace,
      );
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  }

  function adopt(held: readonly Held[], grace: number): void {
    replace(reconcile(holdings, held, performance.now(), grace), undefined);
  }

  function replace(next: Holdings, why: string | undefined): void {
    const same = sameHolders(holdings, next) && unknown === why;
    holdings = next;
    unknown = why;
    if (!same) changed();
  }

  /** Once per change: kubelet is asked every few seconds. */
  function say(problems: readonly string[]): void {
    const text = problems.join('; ');
    if (unknown !== undefined && text !== '') replace(holdings, text);
    if (text === said) return;
    said = text;
    if (text === '') host.log.info('kubelet says again which VFs are held');
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
      replace(take(holdings, ids, resource, performance.now()), unknown);
    },
    refresh,
    async stop() {
      clearInterval(timer);
      await asking;
    },
  };
}

async function listHeld({
  host,
  kubeletDir,
  ownPod,
}: AllocationsOptions): Promise<{ readonly held: readonly Held[]; readonly believed: boolean }> {
  const pods = await listPodDevices(host, { socket: join(kubeletDir, 'pod-resources/kubelet.sock'), timeout: 5000 });
  const held = pods.flatMap((pod) => pod.devices.flatMap(({ ids, resource }) => ids.map((id) => ({ id, resource }))));
  const believed = pods.some((pod) => ownPod === undefined || (pod.name === ownPod.name && pod.namespace === ownPod.namespace));
  return { held, believed };
}
