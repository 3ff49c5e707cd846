// A fake kubelet. It keeps the whole contract between kubelet and device plugins, in a directory of the test's own, and can be made to
// misbehave as real ones do. It works with any device plugin, in whatever language that is written.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from '@grpc/grpc-js';
import { messageOf } from '../../host/base/errors.ts';
import type { ContainerAllocateResponse__Output } from '../../proto/generated/v1beta1/ContainerAllocateResponse.ts';
import { type Behaviour, healthyKubelet } from './fake-kubelet/behaviour.ts';
import { DeviceBook, type Given } from './fake-kubelet/devices.ts';
import { Plugins } from './fake-kubelet/plugins.ts';
import { servePodResources } from './fake-kubelet/pod-resources.ts';
import { PluginWatcher, serveRegistration, sockets } from './fake-kubelet/registration.ts';

/** A pod to admit: `namespace/name`, and the devices that each container asks for, e.g. `{ main: { 'smartnic.io/direct': 1 } }`. */
export interface PodSpec {
  readonly name: string;
  /** Ordinary init containers: admitted first; what they have is used again for the containers. */
  readonly initContainers?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly containers: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface FakeKubeletOptions {
  /** Stands for /var/lib/kubelet; made when it is not there. */
  readonly directory: string;
  readonly behaviour?: Partial<Behaviour>;
}

export class FakeKubelet {
  readonly directory: string;
  /** Change it at any time. */
  readonly behaviour: Behaviour;
  /** What plugins did against the contract, in words. */
  readonly violations: string[] = [];
  #book = new DeviceBook();
  #plugins: Plugins;
  #servers: readonly Server[] = [];
  #watcher: PluginWatcher | undefined;
  /** In the order in which they came. */
  readonly #pods = new Set<string>();
  /** Pods that kubelet has not learnt of since its start. */
  #unlearnt = new Set<string>();
  #learning: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<() => void>();

  constructor({ directory, behaviour = {} }: FakeKubeletOptions) {
    this.directory = directory;
    this.behaviour = Object.assign(healthyKubelet(), behaviour);
    this.#plugins = this.#newPlugins();
  }

  /** Starts as kubelet does: sockets in device-plugins are wiped, allocations come from the checkpoint, both registrations open. */
  async start(): Promise<void> {
    for (const name of ['device-plugins', 'pod-resources', ...(this.behaviour.watcher ? ['plugins_registry'] : [])]) {
      mkdirSync(join(this.directory, name), { recursive: true });
    }
    for (const socket of sockets(this.path('device-plugins'))) rmSync(socket, { force: true });
    this.#book = new DeviceBook();
    this.#readCheckpoint();
    this.#plugins = this.#newPlugins();
    this.#learn();
    this.#servers = [
      await servePodResources(this.path('pod-resources/kubelet.sock'), this.#book, this.behaviour, () => this.#listedPods()),
      await serveRegistration(this.path('device-plugins/kubelet.sock'), this.#plugins),
    ];
    if (this.behaviour.watcher) this.#watcher = new PluginWatcher(this.path('plugins_registry'), this.#plugins, 50);
  }

  /** Ends at once, as when killed: streams break, nothing in the directories is cleaned up but the checkpoint is there. */
  stop(): void {
    clearInterval(this.#learning);
    this.#watcher?.stop();
    this.#watcher = undefined;
    this.#plugins.disconnectAll();
    for (const server of this.#servers) server.forceShutdown();
    this.#servers = [];
  }

  async restart(): Promise<void> {
    this.stop();
    await this.start();
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  capacity(resource: string): number {
    return this.#book.capacity(resource);
  }

  allocatable(resource: string): number {
    return this.#book.allocatable(resource);
  }

  healthy(resource: string): readonly string[] {
    return this.#book.healthy(resource);
  }

  numaNodes(resource: string, id: string): readonly number[] {
    return this.#book.lists.get(resource)?.get(id)?.numaNodes ?? [];
  }

  /** Sockets that stream this resource now. */
  sockets(resource: string): readonly string[] {
    return this.#plugins.sockets(resource);
  }

  get messages(): number {
    return this.#plugins.messages;
  }

  get greatestMessage(): number {
    return this.#plugins.greatest;
  }

  /** Calls straight through to the plugin's Allocate, as no real kubelet would; rejects with the plugin's own status. */
  async allocateRaw(
    resource: string,
    containers: readonly (readonly string[])[],
  ): Promise<readonly ContainerAllocateResponse__Output[]> {
    const response = await this.#plugin(resource).client.allocate(containers);
    return response.container_responses;
  }

  async preferredRaw(
    resource: string,
    available: readonly string[],
    mustInclude: readonly string[],
    size: number,
  ): Promise<readonly string[]> {
    const response = await this.#plugin(resource).client.preferred(available, mustInclude, size);
    return response.container_responses[0]?.deviceIDs ?? [];
  }

  /**
   * Admits a pod: container by container, resource by resource. A pod that is known already keeps its devices, provided that they are
   * still healthy. Throws what the pod's status would say (UnexpectedAdmissionError), and frees what it had reserved.
   */
  async admit(pod: PodSpec): Promise<readonly Given[]> {
    this.#pods.add(pod.name);
    this.#unlearnt.delete(pod.name);
    this.#forgetEnded();
    const reusable = new Set<string>();
    try {
      for (const [init, containers] of [
        [true, pod.initContainers ?? {}],
        [false, pod.containers],
      ] as const) {
        for (const [container, limits] of Object.entries(containers)) {
          for (const [resource, count] of Object.entries(limits))
            await this.#allocate({ pod: pod.name, container, init, resource, count, reusable });
        }
      }
    } catch (error) {
      this.remove(pod.name);
      throw new Error(`UnexpectedAdmissionError: Allocate failed due to ${messageOf(error)}, which is unexpected`, {
        cause: error,
      });
    }
    return this.given(pod.name);
  }

  /** The pod has the device since before the plugin had anything against that; nobody is asked. */
  give(pod: string, resource: string, id: string): void {
    this.#pods.add(pod);
    this.#book.give({ pod, container: 'main', init: false, resource, ids: [id], envs: {}, devices: [], mounts: [], cdi: [] });
    this.#writeCheckpoint();
  }

  /** A pod without devices, as most are. */
  addPod(name: string): void {
    this.#pods.add(name);
  }

  /** The pod ended. Kubelet takes its devices back when it next lists or admits pods; the checkpoint keeps them until it is written again. */
  remove(pod: string): void {
    this.#pods.delete(pod);
    this.#unlearnt.delete(pod);
  }

  given(pod: string): readonly Given[] {
    return this.#pods.has(pod) ? this.#book.given.filter((given) => given.pod === pod) : [];
  }

  /** Resolves when `holds` does; throws, with what was expected, after `timeout` milliseconds. */
  async until(what: string, holds: () => boolean, timeout = 15_000): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (holds()) finish();
      };
      const poll = setInterval(look, 5);
      const timer = setTimeout(() => finish(new Error(`not within ${timeout} ms: ${what}`)), timeout);
      const finish = (error?: Error): void => {
        clearInterval(poll);
        clearTimeout(timer);
        this.#listeners.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#listeners.add(look);
    });
  }

  /** Waits until the resource has so many devices, so many of them healthy (all when not said). */
  async untilOffered(resource: string, capacity: number, allocatable = capacity, timeout = 15_000): Promise<void> {
    const holds = (): boolean => this.capacity(resource) === capacity && this.allocatable(resource) === allocatable;
    const is = (): string => `${this.allocatable(resource)} of ${this.capacity(resource)}`;
    await this.until(`${allocatable} of ${capacity} ${resource} allocatable`, holds, timeout).catch((error) => {
      throw new Error(`${messageOf(error)}; it has ${is()}`);
    });
  }

  /** As kubelet learns of its pods at its start: one after the other, the oldest first. */
  #learn(): void {
    const { podDelay } = this.behaviour;
    this.#unlearnt = new Set(podDelay > 0 ? this.#pods : []);
    this.#learning = setInterval(() => {
      const [next] = this.#unlearnt;
      if (next === undefined) clearInterval(this.#learning);
      else this.#unlearnt.delete(next);
    }, podDelay);
  }

  /** Of List, which first takes back what ended pods had. */
  #listedPods(): readonly string[] {
    this.#forgetEnded();
    return [...this.#pods].filter((pod) => this.behaviour.podsKnown && !this.#unlearnt.has(pod));
  }

  /** Kubelet does nothing of the kind before it has learnt of all its pods (its sources are "ready" only then). */
  #forgetEnded(): void {
    if (!this.behaviour.podsKnown || this.#unlearnt.size > 0) return;
    for (const pod of new Set(this.#book.given.map((one) => one.pod))) if (!this.#pods.has(pod)) this.#book.release(pod);
  }

  #newPlugins(): Plugins {
    return new Plugins(this.#book, this.behaviour, this.violations, () => this.#writeCheckpoint());
  }

  #plugin(resource: string): NonNullable<ReturnType<Plugins['find']>> {
    const plugin = this.#plugins.find(resource);
    if (plugin === undefined) throw new Error(`no device plugin has registered ${resource}`);
    return plugin;
  }

  async #allocate({ pod, container, init, resource, count, reusable }: Wanted): Promise<void> {
    const had = this.#book.given.find((one) => one.pod === pod && one.container === container && one.resource === resource);
    if (had !== undefined) {
      const healthy = new Set(this.#book.healthy(resource));
      if (had.ids.some((id) => !healthy.has(id)))
        throw new Error(`previously allocated devices are no longer healthy; cannot allocate unhealthy devices ${resource}`);
      return;
    }
    const plugin = this.#plugin(resource);
    const again = [...reusable].filter((id) => this.#book.lists.get(resource)?.has(id)).slice(0, count);
    const ids = [...again, ...(again.length < count ? await this.#choose(resource, count - again.length) : [])];
    this.#book.reserve(resource, ids);
    try {
      const [response] = (await plugin.client.allocate([ids])).container_responses;
      if (response === undefined) throw new Error(`no containers return in allocation response for ${resource}`);
      this.#book.give({ pod, container, init, resource, ids, ...digest(response) });
      for (const id of ids) init ? reusable.add(id) : reusable.delete(id);
      this.#writeCheckpoint();
    } catch (error) {
      this.#book.unreserve(
        resource,
        ids.filter((id) => !again.includes(id)),
      );
      throw error instanceof Error && 'details' in error ? new Error(`rpc error: ${error.message}`, { cause: error }) : error;
    }
  }

  /** What the plugin prefers as far as it is free, topped up from the rest: its answer is advice. */
  async #choose(resource: string, count: number): Promise<readonly string[]> {
    const free = this.#book.free(resource);
    if (free.length < count) {
      throw new Error(`requested number of devices unavailable for ${resource}. Requested: ${count}, Available: ${free.length}`);
    }
    const plugin = this.#plugin(resource);
    if (!plugin.preferredAvailable || free.length === count) return free.slice(0, count);
    const response = await plugin.client.preferred(free, [], count);
    const stillFree = new Set(this.#book.free(resource));
    const advised = (response.container_responses[0]?.deviceIDs ?? []).filter((id) => stillFree.has(id));
    return [...new Set([...advised, ...stillFree])].slice(0, count);
  }

  #writeCheckpoint(): void {
    for (const look of [...this.#listeners]) look();
    const PodDeviceEntries = this.#book.given.map((given) => ({
      PodUID: given.pod,
      ContainerName: given.container,
      ResourceName: given.resource,
      DeviceIDs: { '-1': given.ids },
      AllocResp: Buffer.from(JSON.stringify(given)).toString('base64'),
    }));
    const RegisteredDevices = Object.fromEntries(
      [...this.#book.lists.keys()].map((resource) => [resource, this.#book.healthy(resource)]),
    );
    const content = { Data: { PodDeviceEntries, RegisteredDevices }, Checksum: 1, BootID: 'fake' };
    try {
      writeFileSync(this.path('device-plugins/kubelet_internal_checkpoint'), JSON.stringify(content));
    } catch {
      // Kubelet logs it and goes on.
    }
  }

  #readCheckpoint(): void {
    let text: string;
    try {
      text = readFileSync(this.path('device-plugins/kubelet_internal_checkpoint'), 'utf8');
    } catch {
      return;
    }
    const { Data } = JSON.parse(text) as { Data: { PodDeviceEntries: readonly { AllocResp: string }[] } };
    for (const { AllocResp } of Data.PodDeviceEntries) this.#book.give(JSON.parse(Buffer.from(AllocResp, 'base64').toString()));
  }
}

/** Devices of one resource for one container. */
interface Wanted {
  readonly pod: string;
  readonly container: string;
  readonly init: boolean;
  readonly resource: string;
  readonly count: number;
  /** What ordinary init containers of the pod have and no container has taken over yet. */
  readonly reusable: Set<string>;
}

function digest(response: ContainerAllocateResponse__Output): Pick<Given, 'envs' | 'devices' | 'mounts' | 'cdi'> {
  return {
    envs: response.envs,
    devices: response.devices.map((one) => `${one.host_path}:${one.container_path}:${one.permissions}`),
    mounts: response.mounts.map((one) => `${one.host_path}:${one.container_path}:${one.read_only ? 'ro' : 'rw'}`),
    cdi: response.cdi_devices.map((one) => one.name),
  };
}
