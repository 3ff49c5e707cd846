// The annotations of this node's pods, from a watch of the API server (field selector on the node). A pod that the watch has not seen yet
// is read by a GET. This file does not know what the annotations mean.
import type { V1Pod } from '@kubernetes/client-node';
import { Unavailable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { apiFailure, apiStatus } from './api-failure.ts';
import { follow, openConfig, withLimit } from './follow.ts';
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
  const config = openConfig(new KubeConfig(), kubeconfig);
  const api = config.makeApiClient(CoreV1Api);
  const server = config.getCurrentCluster()?.server ?? 'the API server';
  const fieldSelector = `spec.nodeName=${nodeName}`;
  const followed = follow<V1Pod>({
    watch: new Watch(config),
    makeInformer: (watch, list) => new ListWatch('/api/v1/pods', watch, list, false, undefined, fieldSelector),
    list: async () => await withLimit(api.listPodForAllNamespaces({ fieldSelector }), timeout),
    ...{ what: `the pods of node ${nodeName}`, server, log, retryAfter },
  });

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
    problem: followed.problem,
    annotations: async (pod) => {
      const known = followed.list.get(pod.name, pod.namespace);
      // Without a UID, the watch may still know an earlier pod of the same name.
      const current = known !== undefined && pod.uid !== undefined && isPod(known, pod.uid);
      return current ? (known.metadata?.annotations ?? {}) : await get(pod);
    },
    close: followed.close,
  };
}

/** A static pod has a UID from kubelet. The API server shows a mirror pod with another UID, which names kubelet's UID in this annotation. */
function isPod({ metadata }: V1Pod, uid: string): boolean {
  return metadata?.uid === uid || metadata?.annotations?.['kubernetes.io/config.mirror'] === uid;
}
