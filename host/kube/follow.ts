// Lists of the Kubernetes client that are followed by a watch, again and again. It knows no kind of object.
import { setTimeout as delay } from 'node:timers/promises';
import type { KubeConfig, KubernetesListObject, KubernetesObject, ListWatch, Watch } from '@kubernetes/client-node';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { apiFailure } from './api-failure.ts';

/** @param kubeconfig - its path; absent: the pod's service account. @throws Error that says why it can't be used. */
export function openConfig(config: KubeConfig, kubeconfig: string | undefined): KubeConfig {
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

export interface Followed<T extends KubernetesObject> {
  readonly list: Pick<ListWatch<T>, 'get' | 'on'>;
  /** Why the list is not up to date now; undefined when it is. */
  problem(): string | undefined;
  close(): void;
}

export interface Following<T extends KubernetesObject> {
  /** Made by the caller, who alone imports the client's classes. */
  readonly watch: Watch;
  readonly makeInformer: (watch: Watch, list: () => Promise<KubernetesListObject<T>>) => ListWatch<T>;
  readonly list: () => Promise<KubernetesListObject<T>>;
  /** In words: `the pods of node n1 can't be watched on https://…`. */
  readonly what: string;
  readonly server: string;
  readonly log: Logger;
  /** Milliseconds after which a failed watch begins again; doubled after each failure, at most 30 000. */
  readonly retryAfter: number;
}

/** Starts the watch in the background, and again whenever it fails. */
export function follow<T extends KubernetesObject>(following: Following<T>): Followed<T> {
  const { watch, makeInformer, list, what, server, log, retryAfter } = following;
  const state = { problem: `the watch of ${what} on ${server} has not begun yet` as string | undefined, closed: false };
  let pause = retryAfter;
  const begun = () => {
    state.problem = undefined;
    pause = retryAfter;
    log.debug({ server }, `watching ${what}`);
  };
  const informer = makeInformer(noticing(watch, begun), async () => {
    const found = await list();
    if (state.closed) throw new Error('closed');
    return found;
  });
  const start = () => {
    if (!state.closed) informer.start().catch(again);
  };
  const again = (error: unknown) => {
    if (state.closed) return;
    const reason = apiFailure(error);
    state.problem = `${what} can't be watched on ${server}: ${reason}`;
    log.warn({ server, error: reason, ms: pause }, `watching ${what} failed; again later`);
    setTimeout(start, pause).unref();
    pause = Math.min(pause * 2, 30_000);
  };
  informer.on('error', again);
  start();
  return {
    list: informer,
    problem: () => state.problem,
    close: () => {
      state.closed = true;
      void informer.stop();
    },
  };
}

/** Unlike the client's informer, it tells when a watch is under way. It asks for bookmarks, so that the watch of a quiet cluster does not get too old. */
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

/** The client itself has no limit. */
export async function withLimit<T>(answer: Promise<T>, ms: number): Promise<T> {
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
