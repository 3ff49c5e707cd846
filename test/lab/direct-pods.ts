// What the suites on `direct` share: pods that are taken away after each test, when the machine must be as it was before.
import assert from 'node:assert/strict';
import { succeeded } from '../support/answers.ts';
import type { CniAnswer } from '../support/node.ts';
import type { DirectMachine, LabPod } from './direct-machine.ts';

export interface DirectPods {
  pod(resource: string, config?: object): Promise<LabPod>;
  /** The result. */
  add(pod: LabPod): Promise<AddResult>;
  check(pod: LabPod, prevResult: unknown): Promise<CniAnswer>;
  del(pod: LabPod): Promise<void>;
  /** For kubelet, before the test ends: its VF is free then. */
  end(pod: LabPod): Promise<void>;
  /** The machine is as it was before the first test, or since `forget`. */
  clean(): Promise<void>;
  /** What the machine is like now is what it must be like after each test. */
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

/** Adds the hooks that keep a suite's tests apart. `machine` is asked for when they run. */
export function directPods(machine: () => DirectMachine): DirectPods {
  let before: string;
  const pods: LabPod[] = [];
  const clean = async () => assert.equal(await machine().state(), before, 'the machine is as it was before');
  const forget = async () => {
    before = await machine().state();
  };
  beforeEach(async () => {
    if (before === undefined) await forget();
  });
  afterEach(async () => {
    for (const pod of pods.splice(0)) {
      await machine().node.cni('DEL', { ...pod.call, netns: '' });
      await machine().end(pod);
    }
    await clean();
  });
  return {
    pod: async (resource, config) => {
      const made = await machine().pod(resource, config);
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
    clean,
    forget,
  };
}
