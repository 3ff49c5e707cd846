// NetworkAttachmentDefinitions, from a watch of the API server. One that the watch does not know is read by a GET, because a person may create
// a network and a pod at the same moment. This file does not know what a definition means.
import type { KubeConfig, KubernetesListObject, KubernetesObject } from '@kubernetes/client-node';
import { Unavailable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { askApi, type Followed, follow } from './api.ts';
import { apiFailure, apiStatus } from './api-failure.ts';
import type { PodName } from './pod-name.ts';

export interface NetworkObject extends KubernetesObject {
  readonly spec?: { readonly config?: string };
}

export interface Networks {
  /** Undefined when there is none. Throws Unavailable when the API server can't be asked. */
  find(network: Pick<PodName, 'namespace' | 'name'>): Promise<NetworkObject | undefined>;
  /** Why the watch is not up to date; undefined when it is. */
  problem(): string | undefined;
  close(): void;
}

export interface NetworksOptions {
  readonly log: Logger;
  /** Milliseconds for a GET. A review has 2 s in all. Default 1000. */
  readonly timeout?: number;
  readonly retryAfter?: number;
}

const group = '/apis/k8s.cni.cncf.io/v1';
const kind = 'network-attachment-definitions';
const permissions = `get, list and watch on ${kind} in all namespaces`;

export async function watchNetworks(
  config: KubeConfig,
  { log, timeout = 1000, retryAfter = 1000 }: NetworksOptions,
): Promise<Networks> {
  const { ListWatch, Watch } = await import('./kubernetes-client.ts');
  const server = config.getCurrentCluster()?.server ?? 'the API server';
  const followed: Followed<NetworkObject> = follow<NetworkObject>({
    watch: new Watch(config),
    makeInformer: (watch, list) => new ListWatch(`${group}/${kind}`, watch, list, false),
    list: async () => slim(await askApi(config, `${group}/${kind}`, { timeout: 30_000 })),
    ...{ what: 'the NetworkAttachmentDefinitions', permissions, server, log, retryAfter },
  });
  const get = async (namespace: string, name: string) => {
    try {
      const path = [group, 'namespaces', namespace, kind, name].map((part, at) => (at === 0 ? part : encodeURIComponent(part)));
      return (await askApi(config, path.join('/'), { timeout })) as NetworkObject;
    } catch (error) {
      if (apiStatus(error) === 404) return undefined;
      const words = `NetworkAttachmentDefinition ${namespace}/${name} can't be read from ${server}: ${apiFailure(error, permissions)}`;
      throw new Unavailable(words, { cause: error });
    }
  };
  return {
    problem: followed.problem,
    close: followed.close,
    find: async ({ namespace, name }) => followed.list.get(name, namespace) ?? (await get(namespace, name)),
  };
}

/** Who wrote which field when is half of an object, and nobody here reads it. */
function slim(answer: unknown): KubernetesListObject<NetworkObject> {
  const list = answer as KubernetesListObject<NetworkObject>;
  for (const { metadata } of list.items) delete metadata?.managedFields;
  return list;
}
