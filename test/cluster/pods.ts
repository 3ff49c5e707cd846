// Pods of tests, and what is known of them.
import { join } from 'node:path';
import { listPodDevices } from '../../host/kube/podresources.ts';
import { type Cluster, eventually } from './cluster.ts';
import { images } from './images.ts';

export interface PodWish {
  /** Multus' annotation: `tenant-a@net1`. */
  readonly networks?: string;
  /** Ours: a word, or JSON by interface. */
  readonly vnicType?: string;
  /** Devices by resource name. */
  readonly devices?: Readonly<Record<string, number>>;
  readonly grace?: number;
  /** Linux capabilities beyond a runtime's usual ones. */
  readonly capabilities?: readonly string[];
}

/** A busybox that prints its environment and stays. */
export function pod(name: string, { networks, vnicType, devices = {}, grace = 1, capabilities = [] }: PodWish = {}) {
  const annotations = {
    ...(networks === undefined ? {} : { 'k8s.v1.cni.cncf.io/networks': networks }),
    ...(vnicType === undefined ? {} : { 'smartnic.io/vnic-type': vnicType }),
  };
  const limits = Object.fromEntries(Object.entries(devices).map(([resource, count]) => [resource, String(count)]));
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'test', labels: { app: 'test' }, annotations } },
    spec: {
      terminationGracePeriodSeconds: grace,
      automountServiceAccountToken: false,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          ...{ name: 'c', image: images.busybox, imagePullPolicy: 'Never', command: ['sleep', '1000000'] },
          resources: { limits },
          ...(capabilities.length === 0 ? {} : { securityContext: { capabilities: { add: capabilities } } }),
        },
      ],
    },
  };
}

/** So many of the same pod, replaced when they fail. */
export function deployment(name: string, replicas: number, wish: PodWish): object {
  const { metadata, spec } = pod(name, wish);
  const labels = { app: name };
  return {
    ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'test' } },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { annotations: metadata.annotations, labels }, spec },
    },
  };
}

export function network(name: string, config: object, resource?: string): object {
  return {
    ...{ apiVersion: 'k8s.cni.cncf.io/v1', kind: 'NetworkAttachmentDefinition' },
    metadata: {
      ...{ name, namespace: 'test' },
      ...(resource === undefined ? {} : { annotations: { 'k8s.v1.cni.cncf.io/resourceName': resource } }),
    },
    spec: { config: JSON.stringify({ cniVersion: '1.0.0', name, type: 'smartnic', bridge: 'br-int', ...config }) },
  };
}

/** With its events when it is not Ready in time. */
export async function untilReady(cluster: Cluster, ...names: readonly string[]): Promise<void> {
  try {
    const pods = names.map((name) => `pod/${name}`);
    await kubectlPatiently(cluster, '-n', 'test', 'wait', '--for=condition=Ready', `--timeout=${cluster.patience}s`, ...pods);
  } catch (error) {
    throw new Error(`not Ready: ${(await Promise.all(names.map((name) => describePod(cluster, name)))).join('\n')}`, {
      cause: error,
    });
  }
}

/** For a command that itself waits for the cluster's patience. */
export async function kubectlPatiently(cluster: Cluster, ...args: readonly string[]): Promise<string> {
  return await cluster.run('kubectl', args, { timeout: (cluster.patience + 10) * 1000 });
}

async function describePod(cluster: Cluster, name: string): Promise<string> {
  const found = await cluster.get('-n', 'test', 'pod', name);
  return `${name} ${JSON.stringify(found.status)}\n${(await eventsOf(cluster, name)).join('\n')}`;
}

/** Messages, newest last. */
export async function eventsOf(cluster: Cluster, name: string): Promise<readonly string[]> {
  const { items } = await cluster.get('-n', 'test', 'events', `--field-selector=involvedObject.name=${name}`);
  return items.map(({ reason, message }: { reason: string; message: string }) => `${reason}: ${message}`);
}

/** The first event of the pod that has these words. */
export async function eventWith(cluster: Cluster, name: string, words: RegExp): Promise<string> {
  return await eventually(`an event of pod ${name} with ${words}`, 40, async () => {
    const events = await eventsOf(cluster, name);
    const found = events.find((event) => words.test(event));
    if (found === undefined) throw new Error(`it has: ${events.join('\n')}`);
    return found;
  });
}

export interface NetworkStatus {
  readonly name: string;
  readonly interface?: string;
  readonly ips?: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
  // biome-ignore lint/suspicious/noExplicitAny: device-info of any type
  readonly 'device-info'?: any;
}

/** What Multus says of the pod's network; by interface. */
export async function networkStatus(cluster: Cluster, name: string): Promise<ReadonlyMap<string, NetworkStatus>> {
  const { metadata } = await cluster.get('-n', 'test', 'pod', name);
  const text = metadata.annotations['k8s.v1.cni.cncf.io/network-status'] ?? '[]';
  return new Map((JSON.parse(text) as NetworkStatus[]).map((each) => [each.interface ?? '', each]));
}

export async function inPod(cluster: Cluster, name: string, ...command: readonly string[]): Promise<string> {
  return await cluster.kubectl('-n', 'test', 'exec', name, '--', ...command);
}

/** Throws unless an echo request is answered within five seconds. */
export async function ping(cluster: Cluster, from: string, address: string): Promise<void> {
  await inPod(cluster, from, 'sh', '-c', `for i in 1 2 3 4 5; do ping -c 1 -W 1 ${address} && exit; done; exit 1`);
}

/** Waits until they are gone. */
export async function remove(cluster: Cluster, ...names: readonly string[]): Promise<void> {
  await kubectlPatiently(cluster, '-n', 'test', 'delete', 'pod', `--timeout=${cluster.patience}s`, ...names);
}

/** Waits until nothing of ours is left on the node: kubelet may take the last steps after a pod's object is gone. */
export async function untilNothingIsLeft(cluster: Cluster): Promise<void> {
  await eventually('nothing of deleted pods is left', 30, async () => {
    const left = [...(await leftovers(cluster)), ...(await reservations(cluster)).map(({ pod, id }) => `${id} of ${pod}`)];
    if (left.length > 0) throw new Error(`there is: ${left.join('; ')}`);
  });
}

/** What is left of us on the node, in words. */
export async function leftovers(cluster: Cluster): Promise<readonly string[]> {
  const listed = await cluster.sh(`
    ovs-vsctl --bare --columns=name find Interface external_ids:owner=smartnic.io | sed '/^$/d; s/^/port /'
    ip -o link show type veth | sed -n 's/^[0-9]*: \\(sn[^@:]*\\).*/link \\1/p'
    ls /var/lib/smartnic/attachments 2>/dev/null | sed 's/^/journal /'
    find /var/lib/cni/networks/ -type f -name '[0-9a-f]*' 2>/dev/null | grep -v /default/ | sed 's/^/lease /' || true`);
  return listed.split('\n').filter((line) => line !== '');
}

export interface Reservation {
  readonly pod: string;
  readonly id: string;
}

/** Which pod has which device, by kubelet's word. */
export async function reservations(cluster: Cluster): Promise<readonly Reservation[]> {
  const host = { root: '/' };
  const pods = await listPodDevices(host, { socket: join(cluster.dir, 'kubelet/pod-resources/kubelet.sock') });
  return pods.flatMap(({ namespace, name, devices }) =>
    devices.flatMap(({ ids }) => ids.map((id) => ({ pod: `${namespace}/${name}`, id }))),
  );
}
