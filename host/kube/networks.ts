// NetworkAttachmentDefinitions, from a watch of the API server. One that the watch does not know is read by a GET, because a person may create
// a network and a pod at the same moment. This file does not know what a definition means.
import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
import type { Logger } from '../base/log.ts';
import { apiFailure, apiStatus } from './api-failure.ts';
import { type ApiServer, askApi, watchApi } from './json-api.ts';
import type { PodName } from './pod-name.ts';

/** Its name, namespace, annotations and `spec`, as the API server has them. */
export type NetworkObject = Readonly<Record<string, unknown>>;

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
  /** Milliseconds after which a failed watch begins again; doubled after each failure, at most 30 000. Default 1000. */
  readonly retryAfter?: number;
  /** Milliseconds without a word after which a watch is given up. Default 150 000. */
  readonly idle?: number;
}

const group = '/apis/k8s.cni.cncf.io/v1';
const kind = 'network-attachment-definitions';
const permissions = `get, list and watch on ${kind} in all namespaces`;

/** Starts the watch in the background. Until it is there, answers come by GET. */
export function watchNetworks(
  server: ApiServer,
  { log, timeout = 1000, retryAfter = 1000, idle = 150_000 }: NetworksOptions,
): Networks {
  const known = new Map<string, NetworkObject>();
  const ending = new AbortController();
  const { signal } = ending;
  let problem: string | undefined = `the watch of the NetworkAttachmentDefinitions on ${server.url} has not begun yet`;
  let pause = retryAfter;

  /** Resolves with the version from which a watch goes on. */
  const list = async () => {
    const answer = await askApi(server, `${group}/${kind}`, { timeout: 30_000 });
    const { items, metadata } = answer as { items: readonly unknown[]; metadata?: { resourceVersion?: string } };
    const found = new Map(items.flatMap((each) => keyed(each)));
    for (const key of known.keys()) if (!found.has(key)) known.delete(key);
    for (const [key, object] of found) known.set(key, object);
    return metadata?.resourceVersion;
  };
  /** Resolves with the version at which the watch ended; undefined: a new list is needed. */
  const watch = async (from: string) => {
    let version: string | undefined = from;
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${from}`;
    const begun = () => {
      problem = undefined;
      pause = retryAfter;
    };
    const line = (text: string) => {
      const { type, object }: { type?: unknown; object?: { metadata?: { resourceVersion?: string } } } = Object(JSON.parse(text));
      // Our version is too old for the API server, for example.
      version = type === 'ERROR' ? undefined : (object?.metadata?.resourceVersion ?? version);
      for (const [key, each] of keyed(object)) {
        if (type === 'DELETED') known.delete(key);
        else if (type === 'ADDED' || type === 'MODIFIED') known.set(key, each);
      }
    };
    await watchApi(server, `${group}/${kind}?${query}`, { signal, idle, begun, line });
    return version;
  };
  const follow = async () => {
    for (let version: string | undefined; !signal.aborted; ) {
      try {
        version ??= await list();
        const from = version;
        version = from === undefined ? undefined : await watch(from);
        // A server that ends each watch at once must not be asked without a pause.
        await sleep(100, undefined, { signal, ref: false });
      } catch (error) {
        if (signal.aborted) return;
        const reason = apiFailure(error, permissions);
        problem = `the NetworkAttachmentDefinitions can't be watched on ${server.url}: ${reason}`;
        log.warn({ server: server.url, error: reason, ms: pause }, 'watching networks failed; again later');
        version = undefined;
        await sleep(pause, undefined, { signal, ref: false }).catch(() => {});
        pause = Math.min(pause * 2, 30_000);
      }
    }
  };
  void follow();

  const get = async (namespace: string, name: string) => {
    const path = `${group}/namespaces/${encodeURIComponent(namespace)}/${kind}/${encodeURIComponent(name)}`;
    try {
      return keyed(await askApi(server, path, { timeout }))[0]?.[1];
    } catch (error) {
      if (apiStatus(error) === 404) return undefined;
      const words = `NetworkAttachmentDefinition ${namespace}/${name} can't be read from ${server.url}: ${apiFailure(error, permissions)}`;
      throw new Unavailable(words, { cause: error });
    }
  };
  return {
    problem: () => problem,
    close: () => ending.abort(),
    find: async ({ namespace, name }) => known.get(`${namespace}/${name}`) ?? (await get(namespace, name)),
  };
}

/** An object behind its key; nothing for what has no name, as a bookmark. What nobody reads is most of an object, and is not kept. */
function keyed(object: unknown): readonly (readonly [string, NetworkObject])[] {
  if (!isRecord(object) || !isRecord(object['metadata'])) return [];
  const { name, namespace, annotations } = object['metadata'];
  if (typeof name !== 'string') return [];
  const kept = isRecord(annotations) ? { annotations: withoutCopy(annotations) } : {};
  return [[`${String(namespace)}/${name}`, { metadata: { name, namespace, ...kept }, spec: object['spec'] }]];
}

/** `kubectl apply` writes the whole object into an annotation. */
function withoutCopy({ 'kubectl.kubernetes.io/last-applied-configuration': _, ...others }: Readonly<Record<string, unknown>>) {
  return others;
}
