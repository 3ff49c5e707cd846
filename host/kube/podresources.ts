// Asks kubelet which pod holds which devices (pod resources API v1, kubelet.sock in pod-resources/). Each question has its own client,
// which costs a millisecond and never stays connected to a kubelet that has gone.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import type { ProtoGrpcType } from '../../proto/generated/podresources.ts';
import type { GetPodResourcesResponse__Output } from '../../proto/generated/v1/GetPodResourcesResponse.ts';
import type { ListPodResourcesResponse__Output } from '../../proto/generated/v1/ListPodResourcesResponse.ts';
import type { PodResources__Output } from '../../proto/generated/v1/PodResources.ts';
import type { PodResourcesListerClient } from '../../proto/generated/v1/PodResourcesLister.ts';
import { messageOf, Unavailable } from '../base/errors.ts';
import type { Machine } from '../base/machine.ts';
import type { PodName } from './pod-name.ts';
import { clientOptions, loadProto, unixTarget } from './proto.ts';

const podResourcesSocket = '/var/lib/kubelet/pod-resources/kubelet.sock';

/** The devices that one container has of one resource. A container with devices on several NUMA nodes has several such records. */
export interface ContainerDevices {
  readonly container: string;
  /** e.g. `smartnic.io/direct`. */
  readonly resource: string;
  readonly ids: readonly string[];
}

export interface PodDevices extends PodName {
  /** Empty: the pod has none. */
  readonly devices: readonly ContainerDevices[];
}

export interface PodResourcesOptions {
  /** Kubelet's socket as the machine sees it. */
  readonly socket?: string;
  /** Milliseconds for the whole question, including retries. Default 10 000. */
  readonly timeout?: number;
}

/** Every pod that kubelet knows on this node. Throws Unavailable when kubelet can't be asked. */
export async function listPodDevices(host: Machine, options: PodResourcesOptions = {}): Promise<readonly PodDevices[]> {
  return ask(host, options, 'List', async (client, end) => {
    const answer = await call<ListPodResourcesResponse__Output>(end, (deadline, done) => client.List({}, { deadline }, done));
    return answer.pod_resources.map(podDevices);
  });
}

/**
 * The devices of one pod; undefined when kubelet does not know the pod. Uses Get. Uses List where Get is off (by default before
 * Kubernetes 1.34) or says no, because only kubelet's wording distinguishes "disabled" from "not found". Throws Unavailable like listPodDevices.
 */
export async function findPodDevices(
  host: Machine,
  pod: PodName,
  options: PodResourcesOptions = {},
): Promise<PodDevices | undefined> {
  try {
    return await ask(host, options, 'Get', async (client, end) => {
      const answer = await call<GetPodResourcesResponse__Output>(end, (deadline, done) =>
        client.Get({ pod_name: pod.name, pod_namespace: pod.namespace }, { deadline }, done),
      );
      return answer.pod_resources === null ? undefined : podDevices(answer.pod_resources);
    });
  } catch (error) {
    if (!(error instanceof Unavailable) || !saysNo(error.cause)) throw error;
    const pods = await listPodDevices(host, options);
    return pods.find((one) => one.name === pod.name && one.namespace === pod.namespace);
  }
}

function podDevices(pod: PodResources__Output): PodDevices {
  const devices = pod.containers.flatMap((container) =>
    container.devices.map((one) => ({ container: container.name, resource: one.resource_name, ids: one.device_ids })),
  );
  return { namespace: pod.namespace, name: pod.name, devices };
}

type Lister = PodResourcesListerClient;
type Done<T> = (error: ServiceError | null, answer?: T) => void;

const { v1 } = loadProto<ProtoGrpcType>('podresources.proto');

async function ask<T>(
  host: Machine,
  { socket = podResourcesSocket, timeout = 10_000 }: PodResourcesOptions,
  method: string,
  question: (client: Lister, end: number) => Promise<T>,
): Promise<T> {
  const path = join(host.root, socket);
  const client = new v1.PodResourcesLister(unixTarget(path), credentials.createInsecure(), clientOptions);
  try {
    return await question(client, performance.now() + timeout);
  } catch (cause) {
    const hint = 'is kubelet running, and its pod-resources directory mounted here?';
    throw new Unavailable(
      `cannot ask kubelet for its pods' devices (PodResources ${method} on ${path}): ${wordsOf(cause)}; ${hint}`,
      {
        cause,
      },
    );
  } finally {
    client.close();
  }
}

/** grpc-js puts its own words around the kernel's: `14 UNAVAILABLE: No connection established. Last error: Error: connect ENOENT /p. Resolution note: `. */
function wordsOf(error: unknown): string {
  const text = messageOf(error);
  return /Last error: (?:Error: )?(.*?)\. Resolution note: /.exec(text)?.[1] ?? text;
}

/**
 * For the whole node, kubelet accepts 100 calls a second and 10 at once, and refuses the rest with code 8.
 * The pauses grow, and they are random, so that callers that were refused together don't come back together.
 */
async function call<T>(end: number, start: (deadline: number, done: Done<T>) => unknown): Promise<T> {
  let refused: unknown;
  for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
    try {
      // gRPC takes a time of day. It is computed anew each time, because the clock may have been set meanwhile.
      return await once<T>((done) => start(Date.now() + end - performance.now(), done));
    } catch (error) {
      if (codeOf(error) === status.DEADLINE_EXCEEDED) throw refused ?? error;
      if (codeOf(error) !== status.RESOURCE_EXHAUSTED) throw error;
      refused = error;
      const wait = pause * (0.5 + Math.random());
      if (performance.now() + wait >= end) throw error;
      await sleep(wait);
    }
  }
}

function once<T>(start: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, answer) => (error === null && answer !== undefined ? resolve(answer) : reject(error)));
  });
}

function saysNo(error: unknown): boolean {
  return codeOf(error) === status.UNKNOWN || codeOf(error) === status.UNIMPLEMENTED || codeOf(error) === status.NOT_FOUND;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
