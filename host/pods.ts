// The annotations of this node's pods: a watch of the API server (field selector on the node), and a direct GET for a pod that the
// watch has not seen yet. Knows nothing of what the annotations mean.
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Pod, V1PodList } from '@kubernetes/client-node';
import { messageOf, Unavailable } from './errors.ts';
import type { Logger } from './log.ts';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
  /** Tells a pod from an earlier one of the same name; absent: not known. */
  readonly uid?: string | undefined;
}

/** Milliseconds. */
const apiTimeout = 10_000;

export type Annotations = Readonly<Record<string, string>>;

export interface Pods {
  /** Undefined: there is no such pod. Throws Unavailable when the API server can't be asked. */
  annotations(pod: PodName): Promise<Annotations | undefined>;
  /** Why pods can't be asked for now; undefined: they can. */
  problem(): string | undefined;
  /** False: no API server is configured, so no pod has annotations. */
  readonly configured: boolean;
  close(): void;
}

export const noPods: Pods = {
  annotations: async () => undefined,
  problem: () => undefined,
  configured: false,
  close: () => {},
};

export interface WatchOptions {
  /** Path of a kubeconfig; absent: the pod's service account. */
  readonly kubeconfig?: string | undefined;
  readonly nodeName: string;
  readonly log: Logger;
}

/** Begins the watch in the background; the first answers come by GET if it is not there yet. */
export async function watchPods({ kubeconfig, nodeName, log }: WatchOptions): Promise<Pods> {
  // Only imported where pods are watched: it is half of a server's memory.
  const { CoreV1Api, KubeConfig, ListWatch, Watch } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  const api = config.makeApiClient(CoreV1Api);
  const server = config.getCurrentCluster()?.server ?? 'the API server';
  const fieldSelector = `spec.nodeName=${nodeName}`;
  const state = { problem: `the watch of this node's pods on ${server} has not begun yet` as string | undefined, closed: false };

  const list = async (): Promise<V1PodList> => {
    const pods = await api.listPodForAllNamespaces({ fieldSelector });
    state.problem = undefined;
    return pods;
  };
  const informer = new ListWatch<V1Pod>('/api/v1/pods', new Watch(config), list, false, undefined, fieldSelector);
  const start = () => {
    if (!state.closed) informer.start().catch(again);
  };
  const again = (error: unknown) => {
    if (state.closed) return;
    state.problem = `the pods of node ${nodeName} can't be watched on ${server}: ${messageOf(error)}`;
    log.warn({ server, error: messageOf(error) }, 'watching pods failed; again in 1 s');
    setTimeout(start, 1000).unref();
  };
  informer.on('error', again);
  informer.on('connect', () => log.info({ server, nodeName }, "watching this node's pods"));
  start();

  const get = async ({ namespace, name }: PodName): Promise<Annotations | undefined> => {
    try {
      const pod = await withLimit(api.readNamespacedPod({ namespace, name }));
      return pod.metadata?.annotations ?? {};
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw new Unavailable(`pod ${namespace}/${name} can't be read from ${server}: ${messageOf(error)}`, { cause: error });
    }
  };

  return {
    configured: true,
    problem: () => state.problem,
    annotations: async (pod) => {
      const known = informer.get(pod.name, pod.namespace)?.metadata;
      const current = known !== undefined && (pod.uid === undefined || pod.uid === known.uid);
      return current ? (known.annotations ?? {}) : await get(pod);
    },
    close: () => {
      state.closed = true;
      void informer.stop();
    },
  };
}

/** The client has no time limit of its own; a runtime gives up after two minutes. */
async function withLimit<T>(answer: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(apiTimeout, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${apiTimeout / 1000} s`);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}

function isNotFound(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 404;
}
