// kill -9 of the CNI server at every step of an ADD and of a DEL of `virtio-forwarder`: its successor puts right what was half done.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DirectMachine, endSharedMachine, type LabPod, sharedDirectMachine, virtio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';
import { type LabForwarder, startForwarder } from './forwarder.ts';

after(endSharedMachine);

describe('a server that is killed while it plugs a socket', () => {
  let machine: DirectMachine;
  let forwarder: LabForwarder;
  const { pod, add, del, clean } = directPods(() => machine, { state: () => forwarder.left() });
  const config = { maxTxRate: 100, vlan: 5 };
  let steps: { readonly ADD: readonly string[]; readonly DEL: readonly string[] };
  const killed = async (step: string, command: string, { call }: LabPod) => {
    const answer = await machine.node.killedAt(step, async () => await machine.node.cni(command, call));
    // The executable sends the DEL again. On a slow machine its wait is over before the next server is there: then it answers 11.
    assert(answer.json.code === 11 || (command === 'DEL' && answer.exit === 0), `${step}: ${answer.stdout}`);
  };
  const isClean = async (step: string) => await clean(`killed at "${step}"`);

  before(async function () {
    machine = await sharedDirectMachine.call(this);
    await machine.kubelet.untilOffered(virtio, 14);
    forwarder = await startForwarder(machine);
    const file = join(machine.lab.share, 'forwarder-steps');
    await machine.node.restart('cni', { SMARTNIC_STEP_HOOK: 'record:/share/forwarder-steps' });
    const one = await machine.pod(virtio, config);
    await add(one);
    const added = await stepsIn(file);
    await del(one);
    const deleted = (await stepsIn(file)).slice(added.length);
    await machine.end(one);
    steps = { ADD: [...new Set(added)], DEL: [...new Set(deleted)] };
    await machine.node.restart('cni');
  });

  it('in an ADD, at each of its steps, it leaves nothing, and the pod can be plugged', async () => {
    assert(
      ['device claimed', 'intent written', 'vf bound', 'forwarder attached', 'committed'].every((step) =>
        steps.ADD.includes(step),
      ),
    );
    const one = await pod(virtio, config);
    for (const step of steps.ADD) {
      await killed(step, 'ADD', one);
      // A committed ADD stays. The runtime got no answer, so it sends a DEL.
      if (step === 'committed') await del(one);
      await isClean(step);
      console.log(`        ${step}`);
    }
    await add(one);
    await del(one);
  });

  it('in a DEL, at each of its steps, its successor finishes it', async () => {
    assert(['deletion noted', 'forwarder detached', 'vf released', 'journal cleared'].every((step) => steps.DEL.includes(step)));
    const one = await pod(virtio, config);
    for (const step of steps.DEL) {
      await add(one);
      await killed(step, 'DEL', one);
      await isClean(step);
      console.log(`        ${step}`);
    }
    await del(one);
  });
});

async function stepsIn(file: string): Promise<readonly string[]> {
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => line.split('\t')[0] ?? '');
}
