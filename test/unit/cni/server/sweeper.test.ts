// When the first sweep begins: in a moment, and behind the requests that waited for the server.
import assert from 'node:assert/strict';
import type { Context } from '../../../../cni/attachment/context.ts';
import { openSweeper } from '../../../../cni/server/sweeper.ts';
import { makeLock } from '../../../../host/base/lock.ts';
import { openLog } from '../../../../host/base/log.ts';
import { until } from '../../../support/until.ts';

describe('the sweeper', () => {
  let sweeps: number;
  const context = {
    host: { log: openLog('silent'), ovsdb: () => ({ replica: async () => await Promise.reject(new Error('it is away')) }) },
    journal: {
      read: () => {
        sweeps++;
        return { entries: [], problems: [] };
      },
    },
    settings: { ovsdb: 'tcp:192.0.2.1:6640' },
    bootId: 'b',
    lock: makeLock(),
  } as unknown as Context;
  beforeEach(() => {
    sweeps = 0;
  });

  it('lets the requests go first that waited for the server, whatever database or bridge comes meanwhile', async () => {
    const sweeper = openSweeper(context, undefined);
    const before: number[] = [];
    sweeper.start(() => {
      sweeper.back('first');
      sweeper.back('again');
      sweeper.bridge();
      before.push(sweeps);
      return before.length < 3;
    });
    await until(async () => sweeps > 0, 'the first sweep begins');
    sweeper.stop();
    assert.ok(before.length > 0);
    assert.ok(
      before.every((count) => count === 0),
      before.join(),
    );
  });

  it('waits for a request that hangs no longer than a second', async () => {
    const sweeper = openSweeper(context, undefined);
    sweeper.start(() => true);
    await until(async () => sweeps > 0, 'the first sweep begins');
    sweeper.stop();
  });

  it('does not begin when it was stopped before', async () => {
    const sweeper = openSweeper(context, undefined);
    let asked = false;
    sweeper.start(() => {
      if (!asked) sweeper.stop();
      asked = true;
      return true;
    });
    await until(async () => asked, 'it looks whether requests run');
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(sweeps, 0);
  });
});
