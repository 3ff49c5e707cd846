// An outsider that does not answer is asked only once.
import assert from 'node:assert/strict';
import { askingOnce, unlessSilent } from '../../../../cni/teardown/outsiders.ts';
import { TimedOut, Unavailable } from '../../../../host/base/errors.ts';
import type { Forwarder } from '../../../../host/forwarder/forwarder.ts';
import type { Host } from '../../../../host/host.ts';
import type { Ovsdb } from '../../../../host/ovs/ovsdb.ts';

describe('asking outsiders for many interfaces', () => {
  const pair = { device: '0000:00:00.0', socket: '/s' };

  it('goes on after a refusal: that was an answer', async () => {
    const silent = new Set<string>();
    for (let times = 0; times < 2; times++)
      await assert.rejects(unlessSilent(silent, 'a', () => Promise.reject(new Error('no'))), /^Error: no$/); // biome-ignore format: one thought
    assert.equal(await unlessSilent(silent, 'a', async () => 'yes'), 'yes');
  });

  it('ends with the first silence of a program, a database or the forwarder, for itself alone', async () => {
    const asked: string[] = [];
    const late = (what: string, error: Error) => async () => {
      asked.push(what);
      throw error;
    };
    const database = (address: string) =>
      ({
        address,
        problem: undefined,
        transact: late(address, new Unavailable('silent')),
        replica: async () => 'replica',
      }) as unknown as Ovsdb;
    const host = {
      run: async (file: string) => await late(file, new TimedOut('hangs'))(),
      ovsdb: database,
      forwarder: { detach: late('forwarder', new Unavailable('silent')) } as unknown as Forwarder,
    } as unknown as Host;
    const once = askingOnce(host, new Set());
    for (let times = 0; times < 3; times++) {
      await assert.rejects(once.run('/ipam/one', []));
      await assert.rejects(once.run('/ipam/two', []));
      await assert.rejects(once.ovsdb('unix:/a').transact([]));
      await assert.rejects(once.ovsdb('unix:/b').transact([]), Unavailable);
      await assert.rejects(once.forwarder?.detach(pair) ?? Promise.resolve(), Unavailable);
    }
    assert.deepEqual(asked, ['/ipam/one', '/ipam/two', 'unix:/a', 'unix:/b', 'forwarder']);
    await assert.rejects(once.ovsdb('unix:/a').replica(), /unix:\/a has not answered before, and is not asked again for now/);
  });
});
