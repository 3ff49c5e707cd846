// The annotations of this node's pods, from a watch of the API server (field selector on the node). A pod that the watch has not seen yet
// is read by a GET. This file does not know what the annotations mean.
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeConfig, V1Pod, Watch } from '@kubernetes/client-node';
import { messageOf, Unavailable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { apiFailure, apiStatus } from './api-failure.ts';
import type { PodName } from './pod-name.ts';

export type Annotations = Readonly<Record<string, string>>;

export interface Pods {
  /** Undefined when there is no such pod. Throws Unavailable when the API server can't be asked. */
  annotations(pod: PodName): Promise<Annotations | undefined>;
  /** Why the API server can't be asked for pods now; undefined when it can. */
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
  /** Milliseconds for one answer. The client itself has no limit, and a runtime gives up after two minutes. Default 10 000. */
  readonly timeout?: number;
  /** Milliseconds after which a failed watch begins again; doubled after each failure, at most 30 000. Default 1000. */
  readonly retryAfter?: number;
}

/** Starts the watch in the background. Until it is there, answers come by GET. Throws when the client can't be configured. */
export async function watchPods({ kubeconfig, nodeName, log, timeout = 10_000, retryAfter = 1000 }: WatchOptions): Promise<Pods> {
  // It is imported only where pods are watched, because it takes half of a server's memory.
  const { CoreV1Api, KubeConfig, ListWatch, Watch } = await import('./kubernetes-client.ts');
  const config = configure(new KubeConfig(), kubeconfig);
  const api = config.makeApiClient(CoreV1Api);
  const server = config.getCurrentCluster()?.server ?? 'the API server';
  const fieldSelector = `spec.nodeName=${nodeName}`;
  const state = { problem: `the watch of this node's pods on ${server} has not begun yet` as string | undefined, closed: false };
  let pause = retryAfter;

  const informer = new ListWatch<V1Pod>(
    '/api/v1/pods',
    noticing(new Watch(config), () => {
      state.problem = undefined;
      pause = retryAfter;
      log.debug({ server, nodeName }, "watching this node's pods");
    }),
    async () => {
      const pods = await withLimit(api.listPodForAllNamespaces({ fieldSelector }), timeout);
      if (state.closed) throw new Error('closed');
      return pods;
    },
    false,
    undefined,
    fieldSelector,
  );
  const start = () => {
    if (!state.closed) informer.start().catch(again);
  };
  const again = (error: unknown) => {
    if (state.closed) return;
    const reason = apiFailure(error);
    state.problem = `the pods of node ${nodeName} can't be watched on ${server}: ${reason}`;
    log.warn({ server, error: reason, ms: pause }, 'watching pods failed; again later');
    setTimeout(start, pause).unref();
    pause = Math.min(pause * 2, 30_000);
  };
  informer.on('error', again);
  start();

  const get = async ({ namespace, name, uid }: PodName): Promise<Annotations | undefined> => {
    try {
      const pod = await withLimit(api.readNamespacedPod({ namespace, name }), timeout);
      return uid === undefined || isPod(pod, uid) ? (pod.metadata?.annotations ?? {}) : undefined;
    } catch (error) {
      if (apiStatus(error) === 404) return undefined;
      throw new Unavailable(`pod ${namespace}/${name} can't be read from ${server}: ${apiFailure(error)}`, { cause: error });
    }
  };

  return {
    configured: true,
    problem: () => state.problem,
    annotations: async (pod) => {
      const known = informer.get(pod.name, pod.namespace);
      // Without a UID, the watch may still know an earlier pod of the same name.
      const current = known !== undefined && pod.uid !== undefined && isPod(known, pod.uid);
      return current ? (known.metadata?.annotations ?? {}) : await get(pod);
    },
    close: () => {
      state.closed = true;
      void informer.stop();
    },
  };
}

/** A static pod has a UID from kubelet. The API server shows a mirror pod with another UID, which names kubelet's UID in this annotation. */
function isPod({ metadata }: V1Pod, uid: string): boolean {
  return metadata?.uid === uid || metadata?.annotations?.['kubernetes.io/config.mirror'] === uid;
}

function configure(config: KubeConfig, kubeconfig: string | undefined): KubeConfig {
  try {
    if (kubeconfig === undefined) config.loadFromCluster();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new Error(`kubernetes.kubeconfig: ${kubeconfig ?? 'the service account'} can't be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (config.getCurrentCluster() !== null) return config;
  throw new Error(`kubernetes.kubeconfig: ${kubeconfig} has no current-context that names a cluster`);
}

/** Unlike the client's informer, it tells when a watch is under way. It asks for bookmarks, so that the watch of a quiet node does not get too old. */
function noticing(watch: Watch, onBegin: () => void): Watch {
  const begin: Watch['watch'] = async (path, selection, onEvent, done) => {
    let over = false;
    const ended = (error: unknown): undefined => {
      over = true;
      done(error);
    };
    const query = { ...selection, allowWatchBookmarks: true };
    // The client's informer would not catch what is thrown here, for example when the file of a certificate is missing.
    const controller = await watch.watch(path, query, onEvent, ended).catch(ended);
    if (!over) onBegin();
    return controller ?? new AbortController();
  };
  return Object.assign(Object.create(watch), { watch: begin });
}

async function withLimit<T>(answer: Promise<T>, ms: number): Promise<T> {
  const timer = new AbortController();
  const late = delay(ms, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${ms / 1000} s`);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}
