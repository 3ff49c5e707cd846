// The fake kubelet's book of devices: what plugins list, which container has what. Pure bookkeeping, no sockets.

export interface Listed {
  readonly healthy: boolean;
  readonly numaNodes: readonly number[];
}

/** What a container got, as kubelet replays it at each restart of the container. */
export interface Given {
  readonly pod: string;
  readonly container: string;
  /** Of an ordinary init container: kept for the pod's life, and never listed by PodResources. */
  readonly init: boolean;
  readonly resource: string;
  readonly ids: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  readonly devices: readonly string[];
  readonly mounts: readonly string[];
  readonly cdi: readonly string[];
}

export class DeviceBook {
  /** The complete last list by resource. A resource without any living plugin keeps its devices, unhealthy. */
  readonly lists = new Map<string, ReadonlyMap<string, Listed>>();
  /** Kubelet marks devices as used before it calls Allocate. */
  readonly #reserved = new Map<string, Set<string>>();
  readonly given: Given[] = [];

  capacity(resource: string): number {
    return this.lists.get(resource)?.size ?? 0;
  }

  /** Healthy ones, whether in use or not. */
  allocatable(resource: string): number {
    return this.healthy(resource).length;
  }

  healthy(resource: string): readonly string[] {
    return [...(this.lists.get(resource) ?? [])].filter(([, device]) => device.healthy).map(([id]) => id);
  }

  free(resource: string): readonly string[] {
    const used = this.#reserved.get(resource) ?? new Set();
    return this.healthy(resource).filter((id) => !used.has(id));
  }

  reserve(resource: string, ids: readonly string[]): void {
    this.#reserved.set(resource, (this.#reserved.get(resource) ?? new Set()).union(new Set(ids)));
  }

  unreserve(resource: string, ids: readonly string[]): void {
    this.#reserved.set(resource, (this.#reserved.get(resource) ?? new Set()).difference(new Set(ids)));
  }

  give(given: Given): void {
    this.given.push(given);
    this.reserve(given.resource, given.ids);
  }

  /** A pod that ended: its devices are free again for kubelet. */
  release(pod: string): void {
    for (const one of this.given.filter((given) => given.pod === pod)) {
      this.unreserve(one.resource, one.ids);
      this.given.splice(this.given.indexOf(one), 1);
    }
  }

  markUnhealthy(resource: string): void {
    const list = this.lists.get(resource);
    if (list !== undefined) this.lists.set(resource, new Map([...list].map(([id, one]) => [id, { ...one, healthy: false }])));
  }
}
