// The annotations of this node's pods: a watch of the API server (field selector on the node), and a direct GET for a pod that the
// watch has not seen yet. Knows nothing of what the annotations mean.
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeConfig, V1Pod, Watch } from '@kubernetes/client-node';
import { messageOf, Unavailable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { apiFailure, apiStatus } from './api-failure.ts';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
  /** Tells a pod from an earlier one of the same name; absent: not known. */
  readonly uid?: string | undefined;
}

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
  /** Milliseconds for one answer. The client has no limit of its own; a runtime gives up after two minutes. Default 10 000. */
  readonly timeout?: number;
  /** Milliseconds after which a failed watch begins anew, twice as many after each failure, at most 30 000. Default 1000. */
  readonly retryAfter?: number;
}

/** Begins the watch in the background; the first answers come by GET if it is not there yet. Throws when it can't be configured. */
export async function watchPods({ kubeconfig, nodeName, log, timeout = 10_000, retryAfter = 1000 }: WatchOptions): Promise<Pods> {
  // Only imported where pods are watched: it is half of a server's memory.
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
      // Of a pod whose UID is not told, the watch may still know an earlier one of the same name.
      const current = known !== undefined && pod.uid !== undefined && isPod(known, pod.uid);
      return current ? (known.metadata?.annotations ?? {}) : await get(pod);
    },
    close: () => {
      state.closed = true;
      void informer.stop();
    },
  };
}

/** A static pod has a UID of kubelet's; what the API server shows of it is a mirror with another one, and names that in this annotation. */
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

/** Says when a watch is under way, which the client's informer does not, and asks for bookmarks, so that a quiet node's watch stays young. */
function noticing(watch: Watch, onBegin: () => void): Watch {
  const begin: Watch['watch'] = async (path, selection, onEvent, done) => {
    let over = false;
    const ended = (error: unknown): undefined => {
      over = true;
      done(error);
    };
    const query = { ...selection, allowWatchBookmarks: true };
    // What the client throws here, for want of a certificate's file for instance, its informer would not catch.
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
