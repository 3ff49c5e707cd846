// Everything on kubelet's side: it keeps every offered resource known to kubelet, and gives every VF out only once. plugin.ts calls offer().
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sweepSockets } from '../../host/files/unix-socket.ts';
import { watchDirectories } from '../../host/files/watch-directories.ts';
import type { Host } from '../../host/host.ts';
import { socketName } from '../../host/kube/plugin-sockets.ts';
import type { PodName } from '../../host/kube/pod-name.ts';
import type { Holdings } from '../../inventory/holdings.ts';
import type { Resource } from '../../inventory/offer/resource.ts';
import type { Snapshot } from '../answers/snapshot.ts';
import { keepAllocations } from './allocations.ts';
import { directoryOf, type Endpoint, type EndpointStatus, openEndpoint } from './endpoint.ts';
import { type Way, ways } from './term.ts';
import { type Timing, timing } from './timing.ts';

/** `auto`: the plugin watcher, or Register if the watcher's directory is missing or kubelet ignores it. */
export const registrations = ['auto', ...ways] as const;
export type Registration = (typeof registrations)[number];

export const defaultKubeletDir = '/var/lib/kubelet';

export interface KubeletOptions {
  readonly host: Pick<Host, 'root' | 'log'>;
  /** The path as the machine sees it. */
  readonly kubeletDir?: string;
  readonly registration?: Registration;
  /** The pod in which we run, from the downward API. Kubelet's list of pods counts as complete only when it names this pod. */
  readonly ownPod?: PodName;
  /** Called when the holdings or an endpoint's status changed. */
  readonly changed?: () => void;
  readonly timing?: Partial<Timing>;
}

export interface Kubelet {
  /** Replaces all that is offered. New resources are registered. For missing ones kubelet gets an empty list, and then they are withdrawn. */
  offer(resources: readonly Resource[]): void;
  /** The resource name under which each VF is held, or was until a moment ago, by PCI address. */
  readonly holdings: Holdings;
  /** In the same order as the resources. */
  readonly status: readonly EndpointStatus[];
  /** Ends every stream and removes every socket of ours. */
  stop(): Promise<void>;
}

/** Resolves when kubelet was asked once what is held (5 s at most). Nothing is offered before offer() is called. */
export async function openKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { host, kubeletDir = defaultKubeletDir, ownPod, changed = () => {} } = options;
  const times = { ...timing, ...options.timing };
  const seenDir = join(host.root, kubeletDir);
  const directories = ways.map((way) => join(seenDir, directoryOf[way]));
  const endpoints = new Map<string, Endpoint>();
  const leaving = new Set<Promise<void>>();
  const ending = new AbortController();
  let resources: readonly Resource[] = [];

  const allocations = keepAllocations({
    host,
    kubeletDir,
    ...(ownPod === undefined ? {} : { ownPod }),
    timing: times,
    changed: publish,
    // Kubelet writes its checkpoint after every device list that it gets, even if the list is the same.
    rewrite: () =>
      endpoints
        .values()
        .find(({ status }) => status.streams > 0)
        ?.repeat(),
  });

  function publish(): void {
    for (const endpoint of endpoints.values()) endpoint.publish();
    changed();
  }

  function snapshot(): Snapshot {
    const { holdings, unknown } = allocations;
    return { resources, holdings, ...(unknown === undefined ? {} : { unknownHoldings: unknown }) };
  }

  function open(resource: string): Endpoint {
    return openEndpoint({
      resource,
      ways: orderOf[options.registration ?? 'auto'],
      kubeletDir: seenDir,
      timing: times,
      log: host.log,
      snapshot,
      take: (ids) => allocations.take(ids, resource),
      // Kubelet may come to us from another instance of ours. Only kubelet knows what that instance gave out in the meantime.
      taken: () => void allocations.refresh(),
      changed,
    });
  }

  async function close(name: string, endpoint: Endpoint): Promise<void> {
    endpoints.delete(name);
    await endpoint.stop();
  }

  /**
   * Sends the empty list, and gives kubelet time to take it. Kubelet hangs up when it sees that the socket is gone, and it never learns what it
   * has not read by then. Kubelet does not answer a list, so there is no answer to wait for.
   */
  async function withdraw(name: string, endpoint: Endpoint): Promise<void> {
    endpoints.delete(name);
    endpoint.publish();
    if (endpoint.status.streams > 0) await sleep(times.farewell, undefined, { signal: ending.signal }).catch(() => {});
    await endpoint.stop();
  }

  for (const directory of directories) {
    const swept = await sweepSockets(directory, socketName);
    if (swept.length > 0) host.log.info({ swept }, 'removed sockets of an instance that is gone');
  }
  await allocations.refresh();
  const watch = watchDirectories([seenDir, ...directories], times.tick, () => {
    for (const endpoint of endpoints.values()) endpoint.look();
    allocations.look();
  });

  return {
    offer(next) {
      resources = next;
      const names = new Set(next.map((resource) => resource.name));
      for (const [name, endpoint] of endpoints) if (!names.has(name)) track(withdraw(name, endpoint));
      for (const name of names) if (!endpoints.has(name)) endpoints.set(name, open(name));
      for (const endpoint of endpoints.values()) endpoint.publish();
    },
    get holdings() {
      return allocations.holdings;
    },
    get status() {
      return resources.flatMap((resource) => endpoints.get(resource.name)?.status ?? []);
    },
    async stop() {
      watch.close();
      ending.abort();
      await Promise.all([...[...endpoints].map(([name, endpoint]) => close(name, endpoint)), ...leaving, allocations.stop()]);
    },
  };

  function track(closing: Promise<void>): void {
    leaving.add(closing);
    void closing.finally(() => leaving.delete(closing));
  }
}

const orderOf = {
  auto: ways,
  watcher: ['watcher'],
  register: ['register'],
} as const satisfies Record<Registration, readonly [Way, ...Way[]]>;
