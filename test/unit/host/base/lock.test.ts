import assert from 'node:assert/strict';
import { makeLock } from '../../../../host/base/lock.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the lock', () => {
  it('does work on one key one after the other, in the order it came', async () => {
    const lock = makeLock();
    const seen: string[] = [];
    const work = (name: string) =>
      lock('k', async () => {
        seen.push(`${name} begins`);
        await turn();
        seen.push(`${name} ends`);
        return name;
      });
    assert.deepEqual(await Promise.all([work('a'), work('b'), work('c')]), ['a', 'b', 'c']);
    assert.deepEqual(seen, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  it('does work on different keys side by side', async () => {
    const lock = makeLock();
    const gate = Promise.withResolvers<void>();
    const first = lock('a', () => gate.promise);
    // If this waited for the first one, it would never end.
    await lock('b', async () => gate.resolve());
    await first;
  });

  it('is taken if it is free; then whoever comes is waited for by none, and its holder is told', async () => {
    const lock = makeLock();
    const seen: string[] = [];
    const humble = lock.ifFree('k', async (wanted) => {
      seen.push('humble begins');
      while (!wanted.aborted) await turn();
      seen.push('humble makes room');
    });
    await turn();
    await lock.ifFree('k', async () => void seen.push('never'));
    const firm = lock('k', async () => void seen.push('firm'));
    await lock.ifFree('k', async () => void seen.push('never'));
    await Promise.all([humble, firm]);
    await lock.ifFree('k', async () => void seen.push('free again'));
    assert.deepEqual(seen, ['humble begins', 'humble makes room', 'firm', 'free again']);
  });

  it('gives a failure to its own caller alone and goes on', async () => {
    const lock = makeLock();
    const failing = lock('k', async () => {
      await turn();
      throw new Error('mine');
    });
    const next = lock('k', async () => 'fine');
    await assert.rejects(failing, { message: 'mine' });
    assert.equal(await next, 'fine');
    assert.equal(await lock('k', async () => 'later'), 'later');
  });
});
