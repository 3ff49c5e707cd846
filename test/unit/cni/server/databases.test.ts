import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabases } from '../../../../cni/server/databases.ts';
import { openLog } from '../../../../host/base/log.ts';
import { startFakeOvsdb } from '../../../support/fake-ovsdb.ts';
import { until } from '../../../support/until.ts';

const log = openLog('silent');
const nothing = () => {};

describe('the connections to OVSDB', () => {
  it('are one per address, and tell of each time that one is there', async () => {
    await using server = await startFakeOvsdb();
    let times = 0;
    const databases = openDatabases({ settings: { ovsdb: server.address }, log, onBack: () => void times++ });
    assert.equal(databases.get(server.address), databases.get(server.address));
    await until(async () => times === 1, 'the first connection');
    server.peers[0]?.hangUp();
    await until(async () => times === 2, 'the second connection');
    await databases.close();
  });

  it("are closed when nobody has asked for a while, the node's own excepted, and made anew for the next question", async () => {
    await using own = await startFakeOvsdb();
    await using other = await startFakeOvsdb();
    const databases = openDatabases({ settings: { ovsdb: own.address }, log, onBack: nothing, idle: 200 });
    const first = databases.get(other.address);
    await Promise.all([first.replica(), databases.get(own.address).replica()]);
    for (let asked = 0; asked < 5; asked++) {
      await sleep(100);
      assert.equal(databases.get(other.address), first, 'it was closed while it was asked');
    }
    await until(async () => databases.all().length === 1, 'the closing of the other one');
    await sleep(100);
    assert.deepEqual([own.open(), other.open()], [1, 0]);
    await databases.get(other.address).replica();
    assert.equal(other.open(), 1);
    await databases.close();
  });

  it('are not looked for any more at an address that nobody asks for, as one that was mistyped', async () => {
    await using own = await startFakeOvsdb();
    await using away = await startFakeOvsdb();
    await away.down();
    const databases = openDatabases({ settings: { ovsdb: own.address }, log, onBack: nothing, idleAway: 150 });
    databases.get(away.address);
    await until(async () => databases.all().length === 0, 'the end of it');
    await away.up();
    await sleep(500);
    assert.equal(away.peers.length, 0);
    await databases.close();
  });

  it('are only so many at the same time, however many addresses networks name; one that answers stays longest', async () => {
    await using own = await startFakeOvsdb();
    await using there = await startFakeOvsdb();
    const databases = openDatabases({ settings: { ovsdb: own.address }, log, onBack: nothing, most: 4 });
    const first = databases.get(own.address);
    await databases.get(there.address).replica();
    const waiting = databases.get('unix:/nowhere/0').replica();
    for (let at = 1; at < 20; at++) databases.get(`unix:/nowhere/${at}`);
    await assert.rejects(waiting, /closed by us/);
    const addresses = databases.all().map(({ address }) => address);
    assert.deepEqual(addresses, [own.address, there.address, ...[17, 18, 19].map((at) => `unix:/nowhere/${at}`)]);
    assert.equal(databases.get(own.address), first);
    await databases.close();
  });
});
