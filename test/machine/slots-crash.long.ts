// kill -9 of the server at every step of an ADD and of a DEL of `virtio-forwarder` with a slot of Open vSwitch.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeeded } from '../support/answers.ts';
import { skipWithoutDpdk } from '../support/consumer.ts';
import { killedAt } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import type { CniAnswer } from '../support/node.ts';
import { skipWithoutDpdkOvs } from '../support/ovs.ts';
import { type SlotNode, type SlotPod, startSlotNode } from '../support/slot-node.ts';

describe('a server that is killed while it plugs a slot', () => {
  let machine: SlotNode;
  forAllTests(
    startSlotNode,
    (made) => {
      machine = made;
    },
    [skipWithoutDpdkOvs, skipWithoutDpdk],
  );

  const add = async ({ call }: SlotPod) => {
    const { exit, stdout } = await machine.node.cni('ADD', call);
    assert.equal(exit, 0, stdout);
  };
  const del = async ({ call }: SlotPod) => succeeded(await machine.node.cni('DEL', call));
  const end = async (one: SlotPod) => {
    await del(one);
    await machine.end(one);
  };
  const killed = async (step: string, command: string, { call }: SlotPod): Promise<CniAnswer> => {
    await machine.node.server.stop('SIGKILL');
    return await killedAt(machine.node, step, command, call);
  };
  const clean = async (one: SlotPod) => [...(await machine.node.leftovers()), ...readdirSync(one.directory)];

  const steps = async (file: string) => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    return lines.map((line) => line.split('\t')[0] ?? '');
  };
  /** Every step of a command, as the server itself tells them. */
  const all: Record<'ADD' | 'DEL', readonly string[]> = { ADD: [], DEL: [] };
  before(async () => {
    const file = join(machine.node.dir, 'steps');
    await machine.node.server.stop('SIGKILL');
    await machine.node.startServer({ SMARTNIC_STEP_HOOK: `record:${file}` });
    const one = await machine.pod();
    const began = (await steps(file)).length;
    await add(one);
    all.ADD = (await steps(file)).slice(began);
    await del(one);
    all.DEL = (await steps(file)).slice(began + all.ADD.length);
    await machine.end(one);
  });

  it('leaves nothing at any step of an ADD', async () => {
    for (const step of ['intent written', 'forwarder attached', 'port added', 'committed']) assert(all.ADD.includes(step), step);
    const one = await machine.pod();
    for (const step of all.ADD) {
      assert.equal((await killed(step, 'ADD', one)).json.code, 11, step);
      // A finished ADD stays until the runtime's DEL.
      if (step === 'committed') await del(one);
      assert.deepEqual(await clean(one), [], step);
    }
    await add(one);
    await end(one);
  });

  it('leaves nothing at any step of a DEL', async () => {
    for (const step of ['deletion noted', 'port removed', 'forwarder detached', 'cable removed', 'journal cleared'])
      assert(all.DEL.includes(step), step);
    const one = await machine.pod();
    for (const step of all.DEL) {
      await add(one);
      writeFileSync(one.socket, 'of the pod');
      succeeded(await killed(step, 'DEL', one));
      assert.deepEqual(await clean(one), [], step);
    }
    await add(one);
    await end(one);
  });
});
