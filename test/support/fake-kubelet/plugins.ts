// The fake kubelet's side of each registered plugin socket: dial, options, ListAndWatch with full-list semantics, the end of a stream.
// Notes what a plugin does against the contract.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ListAndWatchResponse__Output } from '../../../proto/generated/v1beta1/ListAndWatchResponse.ts';
import type { Behaviour } from './behaviour.ts';
import type { DeviceBook } from './devices.ts';
import { dialPlugin, type PluginClient } from './plugin-client.ts';

export interface Plugin {
  readonly client: PluginClient;
  readonly preferredAvailable: boolean;
}

export class Plugins {
  readonly #book: DeviceBook;
  readonly #behaviour: Behaviour;
  readonly #changed: () => void;
  /** By resource, the newest last: that is the one that is asked. */
  readonly #plugins = new Map<string, Plugin[]>();
  readonly violations: string[];
  /** ListAndWatch messages received, and their greatest size in bytes when packed as JSON. */
  messages = 0;
  greatest = 0;

  constructor(book: DeviceBook, behaviour: Behaviour, violations: string[], changed: () => void) {
    this.#book = book;
    this.violations = violations;
    this.#behaviour = behaviour;
    this.#changed = changed;
  }

  /** Throws in kubelet's words when the resource is refused or the plugin can't be dialled. Returns a function that starts the stream. */
  async connect(resource: string, socket: string): Promise<() => void> {
    const { dialDelay, dialTimeout } = this.#behaviour;
    if (!isExtendedResource(resource)) throw new Error(`the ResourceName ${JSON.stringify(resource)} is invalid`);
    const refusal = this.#behaviour.refuse(resource);
    if (refusal !== undefined) throw new Error(refusal);
    await sleep(dialDelay);
    if (this.#behaviour.failingDials > 0) {
      this.#behaviour.failingDials -= 1;
      throw new Error('failed to dial device plugin: context deadline exceeded');
    }
    const client = await dialPlugin(socket, dialTimeout);
    try {
      const { get_preferred_allocation_available } = await client.options();
      return () => this.#watch(resource, { client, preferredAvailable: get_preferred_allocation_available });
    } catch (error) {
      client.close();
      throw error;
    }
  }

  find(resource: string): Plugin | undefined {
    return this.#plugins.get(resource)?.at(-1);
  }

  sockets(resource: string): readonly string[] {
    return (this.#plugins.get(resource) ?? []).map((plugin) => plugin.client.socket);
  }

  disconnect(socket: string): void {
    for (const plugin of [...this.#plugins.values()].flat()) if (plugin.client.socket === socket) plugin.client.close();
  }

  disconnectAll(): void {
    for (const plugin of [...this.#plugins.values()].flat()) plugin.client.close();
  }

  #watch(resource: string, plugin: Plugin): void {
    const plugins = this.#plugins.get(resource) ?? [];
    this.#plugins.set(resource, [...plugins, plugin]);
    const slow = setTimeout(() => this.violations.push(`${resource}: no device list within a second of ListAndWatch`), 1000);
    // One after the other, as slow as it may be: a last list counts before the end that follows it. One that was not taken yet when
    // kubelet hangs up, because the socket was removed, is lost.
    let taken: Promise<unknown> = Promise.resolve();
    plugin.client.listAndWatch(
      (message) => {
        clearTimeout(slow);
        this.#check(resource, message);
        taken = taken
          .then(() => sleep(this.#behaviour.listDelay, undefined, { ref: false }))
          .then(() => plugin.client.closed || this.#take(resource, message));
      },
      () => {
        clearTimeout(slow);
        void taken.then(() => this.#forget(resource, plugin));
      },
    );
  }

  #forget(resource: string, plugin: Plugin): void {
    plugin.client.close();
    const left = (this.#plugins.get(resource) ?? []).filter((one) => one !== plugin);
    this.#plugins.set(resource, left);
    if (left.length === 0 || !this.#behaviour.seamless) this.#book.markUnhealthy(resource);
    if (!this.#behaviour.seamless) left.at(-1)?.client.close();
    this.#changed();
  }

  #take(resource: string, { devices }: ListAndWatchResponse__Output): void {
    const list = devices.map(({ ID, health, topology }) => {
      const numaNodes = (topology?.nodes ?? []).map((node) => node.ID);
      return [ID, { healthy: health === 'Healthy', numaNodes }] as const;
    });
    this.#book.lists.set(resource, new Map(list));
    this.#changed();
  }

  #check(resource: string, message: ListAndWatchResponse__Output): void {
    this.messages += 1;
    this.greatest = Math.max(this.greatest, JSON.stringify(message).length);
    const ids = message.devices.map((device) => device.ID);
    if (new Set(ids).size !== ids.length) this.violations.push(`${resource}: a device is listed twice`);
    for (const { ID, health, topology } of message.devices) {
      if (ID === '' || ID.length > 63)
        this.violations.push(`${resource}: the device id ${JSON.stringify(ID)} has not 1 to 63 characters`);
      if (health !== 'Healthy' && health !== 'Unhealthy')
        this.violations.push(`${resource}: ${ID} has the unknown health ${health}`);
      if (topology !== null && topology.nodes.length === 0)
        this.violations.push(`${resource}: ${ID} has a topology without nodes`);
      if (topology?.nodes.some((node) => node.ID < 0)) this.violations.push(`${resource}: ${ID} has a negative NUMA node`);
    }
  }
}

/** `domain/name`, the domain not Kubernetes' own, the name a qualified name of at most 63 characters. */
function isExtendedResource(name: string): boolean {
  const [domain = '', rest = '', ...more] = name.split('/');
  const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
  return (
    more.length === 0 &&
    label.test(domain) &&
    domain !== 'kubernetes.io' &&
    !domain.endsWith('.kubernetes.io') &&
    /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(rest)
  );
}
