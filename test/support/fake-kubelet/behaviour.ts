// What a test can make the fake kubelet do otherwise than a healthy one of today. Plain values, changed at any time.

export interface Behaviour {
  /** Looks into plugins_registry (since 1.12). */
  watcher: boolean;
  /** Keeps a resource alive while any of its sockets streams (since 1.37); up to 1.36, the end of one closes the newest and zeroes the resource. */
  seamless: boolean;
  /** Milliseconds between a registration and the dial. */
  dialDelay: number;
  /** Milliseconds that a dial may take. Kubelet: 10 000. */
  dialTimeout: number;
  /** How many of the next registrations fail as if the plugin could not be dialled. */
  failingDials: number;
  /** Names that are refused, and with which words. */
  refuse: (resource: string) => string | undefined;
  /** Milliseconds before a device list is taken over. */
  listDelay: number;
  /** PodResources Get (on by default since 1.34). */
  podResourcesGet: boolean;
  /** What PodResources List fails with. */
  podResources: string | undefined;
  /** PodResources: calls let through at once, then per second. */
  burst: number;
  rate: number;
  /** Whether kubelet has learnt of its pods; after a start it may take a while, and its lists are empty until then. */
  podsKnown: boolean;
  /** Milliseconds between two pods that kubelet learns of at its start; 0: all at once. */
  podDelay: number;
}

export function healthyKubelet(): Behaviour {
  return {
    watcher: true,
    seamless: true,
    dialDelay: 0,
    dialTimeout: 10_000,
    failingDials: 0,
    refuse: () => undefined,
    listDelay: 0,
    podResourcesGet: true,
    podResources: undefined,
    burst: 10,
    rate: 100,
    podsKnown: true,
    podDelay: 0,
  };
}
