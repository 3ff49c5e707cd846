// How calls that block in the kernel share the threads. In this test a promise blocks in place of the kernel.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../../../../host/base/errors.ts';
import { makeThreads } from '../../../../host/netlink/wire/threads.ts';

const quick = async () => 'done';

describe('the threads in which the kernel works', () => {
  it('are five at once; the others have theirs in turn, also when one fails', async () => {
    const onThread = makeThreads();
    let [running, most] = [0, 0];
    const call = async (index: number) => {
      running += 1;
      most = Math.max(most, running);
      await sleep(5);
      running -= 1;
      if (index % 3 === 0) throw new Error('no');
      return index;
    };
    const ends = await Promise.allSettled(Array.from({ length: 30 }, (_, index) => onThread(`${index}`, () => call(index))));
    assert.equal(most, 5);
    assert.deepEqual(
      ends.map(({ status }) => status),
      Array.from({ length: 30 }, (_, index) => (index % 3 === 0 ? 'rejected' : 'fulfilled')),
    );
  });

  it('stay with what the kernel does not answer; who can have none is told what the kernel is busy with', async () => {
    const onThread = makeThreads(100);
    const held = Promise.withResolvers<string>();
    const stuck = [0, 1, 2, 3, 4].map((index) => onThread(`set link ${index} up`, () => held.promise));
    const outcomes = Promise.allSettled(stuck);
    await sleep(50);
    const waiting = onThread('list links', quick);
    for (const outcome of await outcomes) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof Unavailable);
      assert.match(outcome.reason.message, /^set link \d up: the kernel has not answered within 0\.1 s; a driver may be stuck/);
    }
    const words =
      /^Unavailable: list links: the kernel has not answered within 0\.1 s; for 0 s it has been busy with: set link 0 up; a driver/;
    await assert.rejects(waiting, words);
    await assert.rejects(onThread('list links', quick), words);
    held.resolve('at last');
    await sleep(1);
    assert.equal(await onThread('list links', quick), 'done');
  });
});
