// The forwarder xvio against a stand-in of its daemon that speaks real ZeroMQ, and the keeping of its pairs.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLog } from '../../host/base/log.ts';
import type { Forwarder, Pair } from '../../host/forwarder/forwarder.ts';
import { keepPairs } from '../../host/forwarder/keeper.ts';
import { openWantedPairs } from '../../host/forwarder/wanted-pairs.ts';
import { openXvio } from '../../host/forwarder/xvio/xvio.ts';
import { type FakeForwarder, skipWithoutZmq, startFakeForwarder } from '../support/fake-virtio-forwarder.ts';
import { until } from '../support/until.ts';

const pair = (at: number): Pair => {
  const device = `0000:0a:${(at >> 3).toString(16).padStart(2, '0')}.${at & 7}`;
  return { device, socket: `/run/smartnic/vhost/${device}/vhost.sock`, mac: '02:00:00:00:00:01', mtu: 1500 };
};

describe('virtio-forwarder, spoken to', () => {
  let daemon: FakeForwarder;
  let forwarder: Forwarder;
  before(skipWithoutZmq);
  beforeEach(async () => {
    daemon = await startFakeForwarder({ relays: 4, broken: ['0000:0a:01.7'] });
    forwarder = openXvio(daemon);
  });
  afterEach(async () => daemon[Symbol.asyncDispose]());

  const asDaemonSays = ({ device, socket }: Pair) => [socket, device.toUpperCase()];

  it('attaches a pair once, however often it is told to, although the daemon keeps addresses in upper case', async () => {
    await forwarder.attach(pair(1));
    await forwarder.attach(pair(1));
    assert.deepEqual(daemon.pairs(), [asDaemonSays(pair(1))]);
    assert.deepEqual(daemon.operations, ['ADD_SOCK']);
    const { device, socket } = pair(1);
    assert.deepEqual(await forwarder.attached(), [{ device, socket, status: 'DPDK_ADDED VIRTIO_UNINIT' }]);
  });

  it('detaches a pair, also one that was never attached and one that is gone', async () => {
    await forwarder.attach(pair(1));
    await forwarder.detach(pair(1));
    await forwarder.detach(pair(1));
    await forwarder.detach(pair(2));
    assert.deepEqual(daemon.pairs(), []);
  });

  it("passes the daemon's refusal on in its own words: nothing was attached", async () => {
    await assert.rejects(
      forwarder.attach(pair(15)),
      /^Error: virtio-forwarder refused ADD_SOCK of 0000:0a:01\.7 and .*: error 3 \(virtio_add_sock_dev_pair\(\)\): the VF could not be probed/,
    );
    for (const at of [0, 1, 2, 3]) await forwarder.attach(pair(at));
    await assert.rejects(forwarder.attach(pair(4)), /error 2 .*no relay is idle/);
    assert.equal(daemon.pairs().length, 4);
  });

  it('refuses a device or a socket that another pair has, naming that one', async () => {
    await forwarder.attach(pair(1));
    await assert.rejects(forwarder.attach({ ...pair(1), socket: '/run/other' }), /relay 0 has 0000:0a:00\.1 at \/run\/smartnic/);
    await assert.rejects(forwarder.attach({ ...pair(2), socket: pair(1).socket }), /relay 0 has 0000:0a:00\.1/);
    assert.deepEqual(daemon.pairs(), [asDaemonSays(pair(1))]);
  });

  it('refuses a path that no socket can have, before it asks', async () => {
    await assert.rejects(forwarder.attach({ ...pair(1), socket: `/${'x'.repeat(107)}` }), /108 bytes long/);
    assert.deepEqual(daemon.operations, []);
  });

  it('removes the vf of a relay whose socket alone could be removed (code 3)', async () => {
    await forwarder.attach(pair(1));
    daemon.misbehave('REMOVE_SOCK', { kind: 'code', code: 3 });
    await forwarder.detach(pair(1));
    assert.deepEqual(daemon.pairs(), []);
    assert.deepEqual(daemon.operations, ['ADD_SOCK', 'REMOVE_SOCK', 'REMOVE']);
  });

  it('takes a vf that such a removal left half attached, and attaches it', async () => {
    await forwarder.attach(pair(1));
    daemon.misbehave('REMOVE_SOCK', { kind: 'code', code: 3 });
    daemon.misbehave('REMOVE', { kind: 'code', code: 5 });
    await assert.rejects(forwarder.detach(pair(1)), /refused REMOVE of 0000:0a:00\.1: error 5: a worker did not stop in time/);
    assert.deepEqual(daemon.pairs(), [['', pair(1).device.toUpperCase()]]);
    await forwarder.attach(pair(1));
    assert.deepEqual(daemon.pairs(), [asDaemonSays(pair(1))]);
  });

  it("waits for a removal that takes longer than the 2 s of the daemon's own tool", async () => {
    await forwarder.attach(pair(1));
    daemon.misbehave('REMOVE_SOCK', { kind: 'slow', ms: 2500 });
    await forwarder.detach(pair(1));
    assert.deepEqual(daemon.pairs(), []);
  });

  it('looks whether it was done when an answer does not come in time: done is done, and not done is an error', async () => {
    const hasty = openXvio(daemon, { portControl: 400, stats: 400 });
    daemon.misbehave('ADD_SOCK', { kind: 'slow', ms: 600 });
    await hasty.attach(pair(1));
    daemon.misbehave('REMOVE_SOCK', { kind: 'slow', ms: 600 });
    await hasty.detach(pair(1));
    assert.deepEqual(daemon.pairs(), []);
    assert.deepEqual(daemon.operations, ['ADD_SOCK', 'QUERY_PCI', 'REMOVE_SOCK']);
    daemon.misbehave('ADD_SOCK', { kind: 'slow', ms: 2000 });
    await assert.rejects(hasty.attach(pair(2)), { name: 'Unavailable', message: /did not answer QUERY_PCI .* within 400 ms/ });
  });

  it('has nothing to detach at a daemon that is not there, and can attach nothing', async () => {
    await daemon.stop();
    await forwarder.detach(pair(1));
    await assert.rejects(forwarder.attach(pair(1)), { name: 'Unavailable', message: /ECONNREFUSED|ENOENT/ });
    assert.match((await forwarder.health()) ?? '', /is it running/);
    await daemon.start();
    assert.equal(await forwarder.health(), undefined);
  });
});

describe('the pairs of a forwarder', () => {
  const log = openLog('silent');
  const isOurs = (socket: string) => socket.startsWith('/run/smartnic/vhost/');
  let daemon: FakeForwarder;
  let dir = '';
  before(skipWithoutZmq);
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'pairs-'));
    daemon = await startFakeForwarder();
  });
  afterEach(async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
  });
  const keep = async (bootId = 'boot 1') =>
    keepPairs({ forwarder: openXvio(daemon), wanted: await openWantedPairs({ directory: dir, bootId }), log, isOurs });

  const sockets = () =>
    daemon
      .pairs()
      .map(([socket]) => String(socket))
      .sort();

  it('are all back within 5 s when the daemon restarts with 60 of them', async () => {
    await using keeper = await keep();
    const pairs = Array.from({ length: 60 }, (_, at) => pair(at));
    for (const each of pairs) await keeper.attach(each);
    const before = daemon.pairs();
    await daemon.stop();
    assert.deepEqual(daemon.pairs(), []);
    await daemon.start();
    const began = performance.now();
    await until(async () => daemon.pairs().length === 60, '60 pairs are back');
    const took = Math.round(performance.now() - began);
    console.log(`      60 pairs were back after ${took} ms`);
    assert(took < 5000);
    assert.deepEqual(new Set(daemon.pairs().map(String)), new Set(before.map(String)));
    await until(async () => (await keeper.health()) === undefined, 'the forwarder is well again');
  });

  it('are known to the next server, which attaches what is missing', async () => {
    {
      await using keeper = await keep();
      await keeper.attach(pair(1));
    }
    await daemon.stop();
    await daemon.start();
    await using _keeper = await keep();
    await until(async () => daemon.pairs().length === 1, 'the daemon has 1 pairs');
  });

  it('are forgotten with the boot that they were made in', async () => {
    {
      await using keeper = await keep();
      await keeper.attach(pair(1));
    }
    await using _keeper = await keep('boot 2');
    await until(async () => daemon.pairs().length === 0, 'the daemon has 0 pairs');
    assert.deepEqual(await readdir(dir), []);
  });

  it('stay when the directory of what is wanted is lost, until their device has a new owner', async () => {
    {
      await using keeper = await keep();
      await keeper.attach(pair(1));
      await keeper.attach(pair(2));
    }
    await openXvio(daemon).attach({ ...pair(3), socket: '/run/somebody.sock' });
    await rm(dir, { recursive: true });
    await using keeper = await keep();
    await sleep(2500);
    assert.equal(daemon.pairs().length, 3);
    await keeper.attach(pair(1));
    await keeper.detach(pair(1));
    assert.deepEqual(sockets(), ['/run/somebody.sock', pair(2).socket].sort());
  });

  it('whose files are not understood are left alone, and the files too', async () => {
    const files = {
      [`${pair(1).device}.json`]: JSON.stringify({ version: 2, bootId: 'boot 1', pair: pair(1) }),
      [`${pair(2).device}.json`]: 'torn',
      notes: 'hello',
    };
    await openXvio(daemon).attach(pair(1));
    for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
    await using keeper = await keep();
    for (const each of [pair(1), pair(2)]) await assert.rejects(keeper.attach(each), /is not understood and is left alone/);
    await keeper.attach(pair(3));
    await keeper.detach(pair(3));
    await sleep(1500);
    assert.deepEqual(sockets(), [pair(1).socket]);
    for (const [name, text] of Object.entries(files)) assert.equal(await readFile(join(dir, name), 'utf8'), text);
  });

  it('stay detached when they were given up while the daemon was away', async () => {
    await using keeper = await keep();
    await keeper.attach(pair(1));
    await keeper.attach(pair(2));
    await daemon.stop();
    await keeper.detach(pair(1));
    await daemon.start();
    await until(async () => daemon.pairs().length === 1, 'the daemon has 1 pairs');
    assert.equal(daemon.pairs()[0]?.[0], pair(2).socket);
  });

  it('leave nothing wanted when the forwarder refuses', async () => {
    await using keeper = await keep();
    daemon.misbehave('ADD_SOCK', { kind: 'code', code: 3 });
    await assert.rejects(keeper.attach(pair(1)), /error 3/);
    assert.deepEqual(await readdir(dir), []);
  });

  it("survive a file that a crash tore, and one that is a stranger's", async () => {
    await writeFile(join(dir, '.0000:0a:00.1.json.new'), '{"vers');
    await writeFile(join(dir, 'notes'), 'hello');
    await using keeper = await keep();
    await keeper.attach(pair(1));
    assert.deepEqual((await readdir(dir)).sort(), [`${pair(1).device}.json`, 'notes']);
  });

  it('make the forwarder unhealthy as long as one is missing', async () => {
    await using keeper = await keep();
    await keeper.attach(pair(1));
    daemon.misbehave('ADD_SOCK', { kind: 'code', code: 3 }, 2);
    await daemon.stop();
    await daemon.start();
    await until(async () => /error 3/.test((await keeper.health()) ?? ''), 'it is said what is missing');
    await until(async () => (await keeper.health()) === undefined, 'the forwarder is well again');
    assert.equal(daemon.pairs().length, 1);
  });
});
