// What is asked for while something runs is done together afterwards.
import assert from 'node:assert/strict';
import { gathered } from '../../../../host/base/gathered.ts';

describe('gathered', () => {
  it('does the first alone, and in one go what was asked for meanwhile', async () => {
    const batches: (readonly number[])[] = [];
    const gates: (() => void)[] = [];
    const ask = gathered(async (items: readonly number[]) => {
      batches.push([...items]);
      await new Promise<void>((resolve) => gates.push(resolve));
      return items.length;
    });
    const first = ask(1);
    await Promise.resolve();
    const others = [ask(2), ask(3)];
    gates.shift()?.();
    assert.equal(await first, 1);
    await new Promise(setImmediate);
    const last = ask(4);
    gates.shift()?.();
    assert.deepEqual(await Promise.all(others), [2, 2]);
    await new Promise(setImmediate);
    gates.shift()?.();
    assert.equal(await last, 1);
    assert.deepEqual(batches, [[1], [2, 3], [4]]);
  });

  it('tells a failure to those of its own batch alone', async () => {
    const ask = gathered(async (items: readonly string[]) => {
      if (items.includes('bad')) throw new Error('it is bad');
      return items;
    });
    const first = ask('bad');
    await Promise.resolve();
    const second = ask('good');
    await assert.rejects(first, /it is bad/);
    assert.deepEqual(await second, ['good']);
  });
});
