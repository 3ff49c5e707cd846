// The CNI server as it ships, while the drivers of ten VFs do not let go of them: what other pods notice, how the server ends, and what its
// successor does.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attachment } from '../../cni/attachment/attachment.ts';
import { skipWithoutFuse } from '../support/held-files.ts';
import { type HeldNode, startHeldNode } from '../support/held-node.ts';
import { containerId, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

const [many, rounds] = [10, 60];

describe('the CNI server while VFs are held', function () {
  this.timeout(240_000);
  let held: HeldNode;
  let node: TestNode;

  before(async function () {
    skipWithoutFuse.call(this);
    held = await startHeldNode(many);
    ({ node } = held);
    await node.startServer();
  });
  after(() => held?.[Symbol.asyncDispose]());

  const del = async (attachment: Attachment) => {
    const began = performance.now();
    const { exit, stdout } = await held.del(attachment);
    assert.equal(exit, 0, stdout);
    return performance.now() - began;
  };
  /** Milliseconds of ADDs of others. */
  const others = async (times: number) => {
    await using pod = await node.pod();
    const config = { cniVersion: '1.1.0', name: 'others', type: 'smartnic', bridge: 'br0' };
    const taken: number[] = [];
    for (let round = 0; round < times; round++) {
      const call = { containerId: containerId(), netns: pod.path, config };
      const began = performance.now();
      const { exit, stdout } = await node.cni('ADD', call);
      taken.push(performance.now() - began);
      assert.equal(exit, 0, stdout);
      await node.cni('DEL', call);
    }
    return taken.toSorted((a, b) => a - b);
  };
  it('costs each of them ten seconds once, and the others nothing', async () => {
    await others(5);
    const free = await others(rounds);
    const first = Promise.allSettled(held.attachments.map(del));
    const during = await others(rounds);
    for (const end of await first)
      assert.ok(
        end.status === 'fulfilled' && end.value > 9000 && end.value < 25_000,
        `the DEL of a held VF: ${Object.values(end)}`,
      );
    assert.equal(await held.errands(), many);
    const again = Math.max(...(await Promise.all(held.attachments.map(del))));
    assert.ok(again < 5000, `later DELs took up to ${again} ms`);
    const after = await others(rounds);
    assert.equal(await held.errands(), many, 'a second errand was sent to a VF');
    assert.match(await node.log(), /still under way since \S+Z: write \/sys\/bus\/pci\/drivers\/stubborn\/unbind/);
    for (const [when, taken] of Object.entries({ 'no VF is held': free, 'ten are tried': during, 'ten are held': after }))
      console.log(`      ADD of others while ${when}: median ${ms(taken[rounds / 2])}, p99 ${ms(taken[rounds - 1])}`);
  });

  it('ends in its time on SIGTERM; the next one serves at once, and leaves the VFs to the errands that are still out', async () => {
    const next = node.startServer({ SMARTNIC_STANDBY: 'true' });
    const first = await untilStandby(node);
    const began = performance.now();
    assert.equal(await first.stop(), 0);
    const gone = performance.now();
    await next;
    const serving = performance.now();
    console.log(`      SIGTERM to gone ${ms(gone - began)}, then ${ms(serving - gone)} until the next one serves`);
    assert.ok(gone - began < 10_000);
    assert.equal((await others(3)).length, 3);
    await Promise.all(held.attachments.map(del));
    assert.equal(await held.errands(), many);
  });

  it('leaves the next one its lock when it is killed', async () => {
    const next = node.startServer({ SMARTNIC_STANDBY: 'true' });
    const first = await untilStandby(node);
    const began = performance.now();
    await first.stop('SIGKILL');
    await next;
    console.log(`      SIGKILL, then ${ms(performance.now() - began)} until the next one serves`);
    assert.equal((await others(3)).length, 3);
    assert.equal(await held.errands(), many);
  });

  it('has them again when their drivers let go', async () => {
    await held.release();
    await until(async () => (await held.errands()) === 0, 'the end of the errands');
    await Promise.all(held.attachments.map(del));
    assert.deepEqual(await node.journal(), []);
  });
});

/** The server that works, once another one stands by. */
async function untilStandby(node: TestNode) {
  const { server } = node;
  const before = (await node.log()).split('standing by').length;
  for (let tries = 0; (await node.log()).split('standing by').length === before && tries < 200; tries++) await sleep(50);
  return server;
}

function ms(value = Number.NaN): string {
  return `${Math.round(value * 10) / 10} ms`;
}
