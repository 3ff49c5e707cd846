// Pods that come and go all the time, as in a busy cluster. A pod that is not Ready in time, or that is restarted, is a failure.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { eventsOf, type PodWish, pod, remove, reservations, untilReady } from './pods.ts';

export interface Churn {
  /** Pods that were Ready and are deleted again, so far. */
  readonly done: () => number;
  /** Throws its first failure so far. */
  readonly require: () => void;
  /** Ends it, after the last pods are gone. Throws the first failure. */
  stop(): Promise<ChurnReport>;
}

export interface ChurnReport {
  readonly pods: number;
  /** Milliseconds from a pod's creation to Ready, of the slowest. */
  readonly slowest: number;
  /** Texts of events that tell of an ADD that failed and was done again. */
  readonly retried: readonly string[];
  /** Pods that kubelet refused for good, because just then no plugin was registered. */
  readonly refused: number;
}

let churns = 0;

/** @param width - how many at once. */
export function startChurn(cluster: Cluster, width: number, wish: PodWish): Churn {
  churns += 1;
  const state = { ended: false, failure: undefined as unknown, pods: 0, slowest: 0, retried: [] as string[], refused: 0 };
  const turn = async (name: string) => {
    const began = performance.now();
    await cluster.apply(pod(name, wish));
    if (!(await readyOrRefused(cluster, name))) {
      state.refused += 1;
      return await remove(cluster, name);
    }
    state.slowest = Math.max(state.slowest, performance.now() - began);
    await requireSingleHands(cluster);
    const events = await eventsOf(cluster, name);
    state.retried.push(...events.filter((each) => each.startsWith('FailedCreatePodSandBox')));
    const { status } = await cluster.get('-n', 'test', 'pod', name);
    if (status.phase !== 'Running') throw new Error(`${name} is ${status.phase}`);
    await remove(cluster, name);
    state.pods += 1;
  };
  const lanes = Array.from({ length: width }, async (_, lane) => {
    for (let round = 0; !state.ended; round++) await turn(`churn${churns}-${lane}-${round}`);
  });
  const all = Promise.all(lanes);
  all.catch((error: unknown) => {
    state.failure = error;
    state.ended = true;
  });
  return {
    done: () => state.pods,
    require: () => {
      if (state.failure !== undefined) throw state.failure;
    },
    stop: async () => {
      state.ended = true;
      await all;
      return { ...state, slowest: Math.round(state.slowest) };
    },
  };
}

async function readyOrRefused(cluster: Cluster, name: string): Promise<boolean> {
  try {
    await untilReady(cluster, name);
    return true;
  } catch (error) {
    const { status } = await cluster.get('-n', 'test', 'pod', name);
    if (status.reason === 'UnexpectedAdmissionError') return false;
    throw error;
  }
}

/** Throws when a VF has two pods. */
export async function requireSingleHands(cluster: Cluster): Promise<void> {
  const uses = await reservations(cluster).catch(() => []); // kubelet is just away
  for (const [id, all] of Map.groupBy(uses, (use) => use.id))
    if (all.length > 1) throw new Error(`VF ${id} is in the hands of pods ${all.map(({ pod }) => pod).join(', ')}`);
}

/** Waits until so many more pods have come and gone. */
export async function during(churn: Churn, more: number): Promise<void> {
  const wanted = churn.done() + more;
  for (const end = performance.now() + 90_000; churn.done() < wanted; await sleep(100)) {
    churn.require();
    if (performance.now() > end) throw new Error(`only ${churn.done()} of ${wanted} pods came and went within 90 s`);
  }
}
