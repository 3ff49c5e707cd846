// Keeps what is held in step with kubelet: our own Allocates at once, PodResources regularly, the checkpoint file until kubelet answers.
// The rules are in holdings.ts; this asks, remembers and says when something changed.
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import type { Host } from '../../host/host.ts';
import { onHost } from '../../host/kernel/sysfs.ts';
import { readCheckpoint } from '../../host/kube/kubelet-checkpoint.ts';
import { listPodDevices, type PodName } from '../../host/kube/podresources.ts';
import { type Held, type Holding, type Holdings, heldTwice, reconcile, sameHolders, take } from '../../inventory/holdings.ts';

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
  /** The present ones: the map changes with each Allocate. */
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
  let holdings = new Map<string, Holding>();
  let unknown: string | undefined = 'kubelet was not asked yet';
  let asking: Promise<void> | undefined;
  let trusted = false;
  /** The kubelet that has told of its pods, by its socket. */
  let informed: string | undefined;
  let said = '';
  const timer = setInterval(refresh, options.interval);

  function refresh(): Promise<void> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  async function ask(): Promise<void> {
    const { held, believed, by, problems } = await listHeld(options, informed);
    if (believed) informed = by;
    trusted ||= believed;
    let next = reconcile(holdings, held, performance.now(), believed ? options.grace : Number.POSITIVE_INFINITY);
    let known = trusted || unknown === undefined;
    if (!trusted) {
      // A checkpoint keeps entries of pods long gone: once kubelet's own list was complete, what we know is better.
      const checkpoint = readHeld(options);
      if (checkpoint.held !== undefined) next = reconcile(next, checkpoint.held, performance.now(), options.grace);
      known ||= checkpoint.held !== undefined;
      problems.push(...checkpoint.problems);
    }
    replace(next, known ? undefined : problems.join('; '));
    say([...problems, ...heldTwice(held)]);
  }

  function replace(next: Map<string, Holding>, why: string | undefined): void {
    const same = sameHolders(holdings, next) && unknown === why;
    holdings = next;
    unknown = why;
    if (!same) changed();
  }

  /** Once per change: kubelet is asked every few seconds. */
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
    async stop() {
      clearInterval(timer);
      await asking;
    },
  };
}

interface List {
  readonly held: readonly Held[];
  /** Whether kubelet has answered, and knows its pods already. */
  readonly believed: boolean;
  /** Which kubelet answered; undefined when another one may have begun meanwhile. */
  readonly by?: string | undefined;
  readonly problems: string[];
}

/** @param informed - a kubelet that has told of its pods: one does not forget them, so a list of its without any pod is true. */
async function listHeld({ host, kubeletDir, ownPod }: AllocationsOptions, informed: string | undefined): Promise<List> {
  const socket = join(kubeletDir, 'pod-resources/kubelet.sock');
  const kubelet = () => findSocketIdentity(onHost(host, socket));
  try {
    const before = kubelet();
    const pods = await listPodDevices(host, { socket, timeout: 5000 });
    const by = kubelet() === before ? before : undefined;
    const held = pods.flatMap((pod) => pod.devices.flatMap(asHeld));
    const complete = pods.some((pod) => ownPod === undefined || (pod.name === ownPod.name && pod.namespace === ownPod.namespace));
    const believed = complete || (by !== undefined && by === informed);
    const missing = ownPod === undefined ? 'has no pod at all' : `lacks ${ownPod.namespace}/${ownPod.name}, where we run`;
    const problems = believed ? [] : [`kubelet's list of pods is not complete yet: it ${missing}; nothing is freed by it`];
    return { held, believed, by, problems };
  } catch (error) {
    return { held: [], believed: false, problems: [messageOf(error)] };
  }
}

/** What the checkpoint says; nothing is held when there is none, undefined when it can't be read. */
function readHeld({ host, kubeletDir }: AllocationsOptions): Pick<Partial<List>, 'held'> & Pick<List, 'problems'> {
  try {
    const entries = readCheckpoint(host, join(kubeletDir, 'device-plugins/kubelet_internal_checkpoint')) ?? [];
    return { held: entries.flatMap(asHeld), problems: [] };
  } catch (error) {
    return { problems: [messageOf(error)] };
  }
}

function asHeld({ ids, resource }: { readonly ids: readonly string[]; readonly resource: string }): readonly Held[] {
  return ids.map((id) => ({ id, resource }));
}
