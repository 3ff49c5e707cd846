// The forwarder xvio against a stand-in of its daemon that speaks real ZeroMQ, and the keeping of its pairs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLog } from '../../host/base/log.ts';
import type { Forwarder, Pair } from '../../host/forwarder/forwarder.ts';
import { keepPairs } from '../../host/forwarder/keeper.ts';
import { openWantedPairs } from '../../host/forwarder/wanted-pairs.ts';
import { openXvio } from '../../host/forwarder/xvio/xvio.ts';
import { ask } from '../../host/forwarder/xvio/zmq-request.ts';
import { type FakeForwarder, skipWithoutZmq, startFakeForwarder } from '../support/fake-virtio-forwarder.ts';
import { until } from '../support/until.ts';

const pair = (at: number): Pair => {
  // Digits alone: with today's DPDK the daemon finds no other device.
  const device = `0000:05:${(at >> 3).toString().padStart(2, '0')}.${at & 7}`;
  return { device, socket: `/run/smartnic/vhost/${device}/vhost.sock`, mac: '02:00:00:00:00:01', mtu: 1500 };
};

describe('virtio-forwarder, spoken to', () => {
  let daemon: FakeForwarder;
  let forwarder: Forwarder;
  before(skipWithoutZmq);
  beforeEach(async () => {
    daemon = await startFakeForwarder({ relays: 4, broken: ['0000:05:01.7'] });
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
    assert.deepEqual(await forwarder.attached(), [{ device, socket, status: 'DPDK_ADDED VIRTIO_UNINIT', unconnected: true }]);
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
      /^Error: virtio-forwarder refused ADD_SOCK of 0000:05:01\.7 and .*: error 3 \(virtio_add_sock_dev_pair\(\)\): the VF could not be probed/,
    );
    for (const at of [0, 1, 2, 3]) await forwarder.attach(pair(at));
    await assert.rejects(forwarder.attach(pair(4)), /error 2 .*no relay is idle/);
    assert.equal(daemon.pairs().length, 4);
  });

  it('refuses a device or a socket that another pair has, naming that one', async () => {
    await forwarder.attach(pair(1));
    await assert.rejects(forwarder.attach({ ...pair(1), socket: '/run/other' }), /relay 0 has 0000:05:00\.1 at \/run\/smartnic/);
    await assert.rejects(forwarder.attach({ ...pair(2), socket: pair(1).socket }), /relay 0 has 0000:05:00\.1/);
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

  it('throws when a VF is not released (REMOVE_SOCK 4, REMOVE 2 and 5), and goes on throwing until the daemon was restarted', async () => {
    const ways = [
      [['REMOVE_SOCK', 4]],
      [
        ['REMOVE_SOCK', 3],
        ['REMOVE', 2],
      ],
      [
        ['REMOVE_SOCK', 3],
        ['REMOVE', 5],
      ],
    ] as const;
    for (const [at, codes] of ways.entries()) {
      await forwarder.attach(pair(at));
      for (const [op, code] of codes) daemon.misbehave(op, { kind: 'code', code });
      await assert.rejects(
        forwarder.detach(pair(at)),
        /refused REMOVE.* error [245] .*The daemon holds the VF still: restart it/,
      );
      assert.deepEqual(daemon.pairs(), []);
      daemon.endRemovals();
      await assert.rejects(forwarder.detach(pair(at)), /The daemon holds the VF still: restart it/);
      const other = openXvio(daemon);
      await assert.rejects(other.attach(pair(at)), /holds the VF still, and none of its relays has it.*restart the daemon/);
    }
    await daemon.stop();
    await daemon.start();
    for (const at of ways.keys()) await forwarder.detach(pair(at));
    await forwarder.attach(pair(0));
    assert.deepEqual(daemon.pairs(), [asDaemonSays(pair(0))]);
  });

  it('counts a relay that is still removing as one that may have the VF', async () => {
    await forwarder.attach(pair(1));
    daemon.misbehave('REMOVE_SOCK', { kind: 'code', code: 4 });
    await assert.rejects(forwarder.detach(pair(1)), /error 4/);
    const next = openXvio(daemon);
    await assert.rejects(next.detach(pair(1)), {
      name: 'Unavailable',
      message: /relay 0 \(DPDK_REMOVING1 VIRTIO_UNINIT\) is still letting go/,
    });
    daemon.endRemovals();
    await next.detach(pair(1));
  });

  it('says what is wrong with a VF whose address has letters, with DPDK as it is today', async () => {
    const letters = { ...pair(1), device: '0000:af:0a.1' };
    await assert.rejects(forwarder.attach(letters), /error 3 .*The address has letters: this daemon writes them in upper case/);
    await using old = await startFakeForwarder({ oldDpdk: true });
    await openXvio(old).attach(letters);
  });

  it("waits for a removal that takes longer than the 2 s of the daemon's own tool", async () => {
    await forwarder.attach(pair(1));
    daemon.misbehave('REMOVE_SOCK', { kind: 'slow', ms: 2500 });
    await forwarder.detach(pair(1));
    assert.deepEqual(daemon.pairs(), []);
  });

  it('calls it unknown when an answer does not come in time, and waits for that answer before it does anything to the VF', async () => {
    const hasty = openXvio(daemon, { portControl: 400, stats: 400, ending: 100 });
    const steps = [
      ['ADD_SOCK', () => hasty.attach(pair(1))],
      ['REMOVE_SOCK', () => hasty.detach(pair(1))],
    ] as const;
    for (const [op, act] of steps) {
      daemon.misbehave(op, { kind: 'slow', ms: 1200 });
      await assert.rejects(act(), { name: 'Unavailable', message: new RegExp(`did not answer ${op} .* within 400 ms`) });
      await assert.rejects(hasty.detach(pair(1)), {
        name: 'Unavailable',
        message: /it is not known whether it has 0000:05:00\.1/,
      });
      await assert.rejects(hasty.attach(pair(1)), { name: 'Unavailable', message: /it is not known whether/ });
      await until(
        async () =>
          act().then(
            () => true,
            () => false,
          ),
        'the answer has come, and the state is as wanted',
      );
    }
    assert.deepEqual(daemon.pairs(), []);
    assert.deepEqual(daemon.operations, ['ADD_SOCK', 'REMOVE_SOCK']);
  });

  it('does not take "nobody listens" for released before a daemon that ends has had the time for it', async () => {
    const patient = openXvio(daemon, { portControl: 5000, stats: 5000, ending: 400 });
    await patient.attach(pair(1));
    await daemon.stop();
    await assert.rejects(patient.detach(pair(1)), { name: 'Unavailable', message: /ECONNREFUSED|ENOENT/ });
    const began = performance.now();
    await until(
      async () =>
        patient.detach(pair(1)).then(
          () => true,
          () => false,
        ),
      'it counts as ended',
    );
    assert.ok(performance.now() - began >= 300);
    await assert.rejects(patient.attach(pair(1)), { name: 'Unavailable', message: /ECONNREFUSED|ENOENT/ });
    assert.match((await patient.health()) ?? '', /is it running/);
    await daemon.start();
    assert.equal(await patient.health(), undefined);
  });
});

describe("the stand-in of virtio-forwarder's daemon answers byte for byte as the real one did", () => {
  let daemon: FakeForwarder;
  before(skipWithoutZmq);
  beforeEach(async () => {
    daemon = await startFakeForwarder();
  });
  afterEach(async () => daemon[Symbol.asyncDispose]());

  const control = async (hex: string) => {
    const answer = ask({ endpoint: daemon.portControl, body: Buffer.from(hex, 'hex'), timeout: 2000, what: 'a question' });
    return (await answer).toString('hex');
  };
  const stats = async (hex: string) =>
    await ask({ endpoint: daemon.stats, body: Buffer.from(hex, 'hex'), timeout: 2000, what: 'stats' });
  const text = (words: string) => `32${words.length.toString(16).padStart(2, '0')}${Buffer.from(words).toString('hex')}`;
  const pci = '1208080010051800' + '2001';
  const path = '3a022f61';

  it('to questions', async () => {
    assert.equal(await control('08043a022f78'), '20002802321276697274696f5f71756572795f7063692829');
    assert.equal(await control('0804'), '2000');
    assert.equal(await control('08043a00'), '20002802321276697274696f5f71756572795f7063692829');
    await control(`0802${pci}${path}`);
    assert.equal(await control(`0804${path}`), '20013a0c303030303a30353a30302e31');
  });

  it('to additions and removals', async () => {
    const [add, remove] = [text('virtio_forwarder_add_vf2()'), text('virtio_forwarder_remove_vf2()')];
    const exists = '200028efffffffffffffffff01321a76697274696f5f6164645f736f636b5f6465765f706169722829';
    assert.equal(await control(`0802${pci}${path}`), '2001');
    assert.equal(await control(`0802${pci}3a022f62`), exists);
    assert.equal(await control(`0802${path}`), `20002804${text('virtio_add_sock_dev_pair()')}`);
    assert.equal(await control(`0802${pci}`), `200028ffffffffffffffffff01${text('virtio_add_sock_dev_pair()')}`);
    assert.equal(await control(`0800${pci}1800`), `20002808${add}`);
    assert.equal(await control(`0800${pci}1820`), `20002801${add}`);
    assert.equal(await control(`0801${pci}`), '2000');
    assert.equal(await control(`0801${pci}1820`), `20002801${remove}`);
    assert.equal(await control(`0801${pci}18032001`), '2001');
    assert.equal(await control(`0801${pci}18032000`), `20002804${remove}`);
    assert.equal(await control('08011800'), `20002803${remove}`);
    assert.equal(await control(`0803${pci}${path}`), '2001');
  });

  it('with its statistics: 3074 bytes for 32 idle relays, and what it can not answer', async () => {
    assert.equal((await stats('1001')).length, 3074);
    assert.equal((await stats('0a05')).toString('hex'), '089003');
    assert.equal((await stats(`0a21${'00'.repeat(33)}`)).toString('hex'), '089d03');
    assert.equal((await stats('0a0163')).toString('hex'), '0800');
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
  const keep = async (bootId = 'boot 1', proof: { readonly attachment?: string; served?: boolean } = {}) =>
    keepPairs({
      ...{ forwarder: openXvio(daemon), wanted: await openWantedPairs({ directory: dir, bootId }), log, meeting: 500 },
      isOurs: (socket) => isOurs(socket) || socket.startsWith(dir),
      attachmentOf: () => proof.attachment,
      isServed: () => proof.served === true,
    });

  const sockets = () =>
    daemon
      .pairs()
      .map(([socket]) => String(socket))
      .sort();

  it('are all back when the daemon restarts with 32 of them, which is all it can have', async () => {
    await using keeper = await keep();
    const pairs = Array.from({ length: 32 }, (_, at) => pair(at));
    for (const each of pairs) await keeper.attach(each);
    const before = daemon.pairs();
    await daemon.stop();
    assert.deepEqual(daemon.pairs(), []);
    await daemon.start();
    const began = performance.now();
    await until(async () => daemon.pairs().length === 32, '32 pairs are back');
    const took = Math.round(performance.now() - began);
    console.log(`      32 pairs were back after ${took} ms`);
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

  it('stay when they may be those of a pod that lives, though their device has a new owner, and though its ADD is undone', async () => {
    {
      await using keeper = await keep();
      await keeper.attach(pair(1));
    }
    await rm(dir, { recursive: true });
    const proof = { served: true };
    await using keeper = await keep('boot 1', proof);
    await sleep(1500); // one look at what the forwarder has
    const refusal = {
      name: 'Unavailable',
      message:
        /the forwarder relays .* for somebody that nothing here knows, and a process still serves that socket; so it is not taken away/,
    };
    await assert.rejects(keeper.attach({ ...pair(1), mtu: 9000 }), refusal);
    await assert.rejects(keeper.detach(pair(1)), refusal);
    await sleep(1500);
    assert.deepEqual(sockets(), [pair(1).socket]);
    assert.deepEqual(await readdir(dir), []);
    await keeper.attach(pair(2));
    proof.served = false;
    await keeper.attach({ ...pair(1), mtu: 9000 });
    for (const each of [1, 2]) await keeper.detach(pair(each));
    assert.deepEqual(sockets(), []);
  });

  it('stay when an attachment has their device, or may have it', async () => {
    {
      await using keeper = await keep();
      await keeper.attach(pair(1));
    }
    await rm(dir, { recursive: true });
    await using keeper = await keep('boot 1', { attachment: 'net1 of container c1 has that VF' });
    await sleep(1500);
    await assert.rejects(keeper.attach(pair(1)), /net1 of container c1 has that VF; so it is not taken away/);
    assert.deepEqual(sockets(), [pair(1).socket]);
    await keeper.detach(pair(1)); // by this attachment's own DEL
    assert.deepEqual(sockets(), []);
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
    await assert.rejects(keeper.detach(pair(1)), { name: 'Unavailable' });
    await daemon.start();
    await until(async () => daemon.pairs().length === 1, 'the daemon has 1 pairs');
    assert.equal(daemon.pairs()[0]?.[0], pair(2).socket);
  });

  it('are attached once more when the forwarder has not met a consumer that is there, and then left alone', async () => {
    await using keeper = await keep();
    const socket = join(dir, 'vhost.sock');
    const consumer = createServer().listen(socket);
    await once(consumer, 'listening');
    try {
      daemon.misbehave('ADD_SOCK', { kind: 'race' }, 2);
      await keeper.attach({ ...pair(1), socket });
      const asked = () => daemon.operations.filter((op) => op === 'ADD_SOCK').length;
      await until(async () => asked() === 2, 'the pair was attached once more');
      await sleep(2500);
      assert.equal(asked(), 2);
      assert.deepEqual(
        (await keeper.attached()).map(({ status }) => status),
        ['DPDK_ADDED VIRTIO_UNINIT'],
      );
    } finally {
      consumer.close();
    }
  });

  it('leave nothing wanted when the forwarder refuses', async () => {
    await using keeper = await keep();
    daemon.misbehave('ADD_SOCK', { kind: 'code', code: 3 });
    await assert.rejects(keeper.attach(pair(1)), /error 3/);
    assert.deepEqual(await readdir(dir), []);
  });

  it("survive a file that a crash tore, and one that is a stranger's", async () => {
    await writeFile(join(dir, '.0000:05:00.1.json.new'), '{"vers');
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
