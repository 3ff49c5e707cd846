// kill -9 of the CNI server at every step of an ADD and of a DEL of `direct`: no VF is lost, none in two hands. The suites are crash-*.long.ts.
import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DirectMachine, kernel, type LabPod } from './direct-machine.ts';
import type { DirectPods } from './direct-pods.ts';

export interface CrashCase {
  readonly resource: string;
  readonly config: object;
  /** In the order in which they come. Some come more than once; the server dies at the first one. */
  readonly addSteps: readonly string[];
  readonly delSteps: readonly string[];
}

/** A pod with an address, hooks, a rate, and a VF whose driver has to start anew for its MAC. */
export const legacyKernel: CrashCase = {
  resource: kernel,
  config: {
    cniVersion: '1.0.0', // the guest's IPAM plugins know no newer one
    ...{ hooks: true, maxTxRate: 100, vlan: 5 },
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }]] },
  },
  addSteps: [
    ...[
      'device claimed',
      'intent written',
      'before-plug hooks done',
      'ipam answered',
      'vf mac set',
      'vf vlan set',
      'vf rate set',
    ],
    ...['vf set', 'vf bound', 'driver unbound', 'driver override set', 'netdev taken', 'netdev moved'],
    ...['addresses set', 'after-plug hooks done', 'committed'],
  ],
  delSteps: [
    ...['deletion noted', 'before-unplug hooks done', 'addresses released', 'port removed', 'representor lowered'],
    ...[
      'vf rate set',
      'vf vlan set',
      'vf mac set',
      'vf unset',
      'driver unbound',
      'driver override set',
      'netdev back',
      'vf released',
      'cable removed',
    ],
    ...['after-unplug hooks done', 'journal cleared'],
  ],
};

/** Call these in a `describe`; `machine` is asked for when the tests run. */
export function crashSuites(machine: () => DirectMachine, pods: DirectPods) {
  const { pod, add, del, end, clean } = pods;

  return { suite, steps };

  function suite(its: CrashCase): void {
    const { resource, config, addSteps, delSteps } = its;
    it('can be killed at just the steps that are tried here', async () => {
      const { lab, node } = machine();
      await node.restart('cni', { SMARTNIC_STEP_HOOK: 'record:/share/steps' });
      const one = await pod(resource, config);
      await add(one);
      await del(one);
      await node.restart('cni');
      const file = join(lab.share, 'steps');
      const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
      await rm(file);
      assert.deepEqual([...new Set(lines)].toSorted(), [...new Set([...addSteps, ...delSteps])].toSorted());
    });

    steps(its);
  }

  function steps({ resource, config, addSteps, delSteps }: CrashCase): void {
    const killed = async (step: string, command: string, { call }: LabPod) =>
      await machine().node.killedAt(step, async () => await machine().node.cni(command, call));

    it('in an ADD leaves nothing that the next start does not take away, and the pod can be plugged', async () => {
      const one = await pod(resource, config);
      for (const step of addSteps) {
        const { json } = await killed(step, 'ADD', one);
        assert.equal(json.code, 11, `${step}: ${JSON.stringify(json)}`);
        // A committed ADD stays. The runtime got no answer, so it sends a DEL.
        if (step === 'committed') await del(one);
        await clean().catch((error: unknown) => {
          throw new Error(`killed at "${step}"`, { cause: error });
        });
        console.log(`        ${step}`);
      }
      await add(one);
      await del(one);
    });

    it('in a DEL is succeeded by one that finishes it, while other pods keep their VFs', async () => {
      const all: LabPod[] = [];
      const left = [...delSteps];
      while (left.length > 0) {
        const steps = left.splice(0, 7);
        all.push(...(await Promise.all(steps.map(() => pod(resource, config)))));
        await Promise.all(all.map(add));
        for (const step of steps) {
          const one = all.shift() as LabPod;
          const others = await Promise.all(all.map((each) => ownedBy(each)));
          // The executable sends the DEL again. On a slow machine its wait is over before the next server is there: then it answers 11.
          const { exit, json } = await killed(step, 'DEL', one);
          assert.ok(exit === 0 || json.code === 11, `${step}: ${JSON.stringify(json)}`);
          assert.equal(await ownedBy(one), '', `killed at "${step}"`);
          assert.deepEqual(await Promise.all(all.map((each) => ownedBy(each))), others, `killed at "${step}"`);
          await del(one);
          await end(one);
          console.log(`        ${step}`);
        }
        await clean();
      }
    });

    /** The pod's intent, and the owner of its VF. */
    async function ownedBy({ netnsName, vfs }: LabPod): Promise<string> {
      return await machine().lab.sh(
        `cd /var/lib/smartnic; grep -l '"podName":"${netnsName}"' attachments/* 2>/dev/null; grep -o '"owner":"[^"]*"' owners/${vfs[0]}.json || true`,
      );
    }
  }
}
