// What the suites on `direct` share: pods that are taken away after each test, when the machine must be as it was before.
import assert from 'node:assert/strict';
import { succeeded } from '../support/answers.ts';
import type { CniAnswer } from '../support/node.ts';
import type { DirectMachine, LabPod } from './direct-machine.ts';

export interface DirectPods {
  /** Those of the test that runs. */
  readonly pods: readonly LabPod[];
  pod(resources: string | readonly string[], config?: object): Promise<LabPod>;
  /** The result. */
  add(pod: LabPod): Promise<AddResult>;
  check(pod: LabPod, prevResult: unknown): Promise<CniAnswer>;
  del(pod: LabPod): Promise<void>;
  /** Ends the pod for kubelet before the test ends, so that its VF is free. */
  end(pod: LabPod): Promise<void>;
  /** All that a pod may change, as text. */
  state(): Promise<string>;
  /** The machine is as it was before the first test, or since `forget`. @param when - said where it is not. */
  clean(when?: string): Promise<void>;
  /** From now on, each test must leave the machine as it is at this moment. */
  forget(): Promise<void>;
}

export interface AddResult {
  readonly interfaces: readonly {
    readonly name: string;
    readonly mac: string;
    readonly pciID?: string;
    readonly sandbox?: string;
  }[];
  readonly ips?: readonly object[];
}

export interface DirectPodsOptions {
  /** What else a pod may change. */
  readonly state?: () => Promise<string>;
  /** What else is taken away after each test. */
  readonly tidy?: () => Promise<void>;
}

/** Adds the hooks that keep a suite's tests apart. `machine` is asked for when they run. */
export function directPods(machine: () => DirectMachine, options: DirectPodsOptions = {}): DirectPods {
  let before: string;
  const pods: LabPod[] = [];
  const state = async () => [await machine().state(), await options.state?.()].join('\n');
  const clean = async (when = 'the machine is as it was before') => assert.equal(await state(), before, when);
  const forget = async () => {
    before = await state();
  };
  beforeEach(async () => {
    if (before === undefined) await forget();
  });
  afterEach(async () => {
    await options.tidy?.();
    for (const pod of pods.splice(0)) {
      await machine().node.cni('DEL', { ...pod.call, netns: '' });
      await machine().end(pod);
    }
    await clean().catch(async (error: unknown) => {
      console.log((await machine().node.log('cni')).split('\n').slice(-40).join('\n'));
      throw error;
    });
  });
  return {
    pods,
    pod: async (resources, config) => {
      const made = await machine().pod(resources, config);
      pods.push(made);
      return made;
    },
    add: async ({ call }) => {
      const answer = await machine().node.cni('ADD', call);
      assert.equal(answer.exit, 0, answer.stdout);
      return answer.json;
    },
    check: async ({ call }, prevResult) =>
      await machine().node.cni('CHECK', { ...call, config: { ...(call.config as object), prevResult } }),
    del: async ({ call }) => succeeded(await machine().node.cni('DEL', call)),
    end: async (pod) => {
      pods.splice(pods.indexOf(pod), 1);
      await machine().end(pod);
    },
    state,
    clean,
    forget,
  };
}
