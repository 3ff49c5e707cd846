// Real packets through a testpmd relay: consumer (virtio-user) - relay - veth as the VF - its peer as the representor - bridge - neighbour.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openWantedPairs } from '../../host/forwarder/wanted-pairs.ts';
import { type Consumer, skipWithoutDpdk, startConsumer } from '../support/consumer.ts';
import { startNode } from '../support/node.ts';
import { skipWithoutOvs } from '../support/ovs.ts';
import { consumerMac, type RelayedBridge, startRelayedBridge } from '../support/relayed-bridge.ts';
import { until } from '../support/until.ts';

describe('a testpmd relay', () => {
  let bridge: RelayedBridge;
  let consumer: Consumer;
  before(async function () {
    skipWithoutOvs.call(this);
    skipWithoutDpdk.call(this);
    bridge = await startRelayedBridge();
    consumer = await startConsumer({ socket: bridge.pair.socket, mac: consumerMac });
  });
  after(async () => {
    await consumer?.[Symbol.asyncDispose]();
    await bridge?.[Symbol.asyncDispose]();
  });

  const status = async () => (await bridge.forwarder.attached())[0]?.status ?? '';
  const flows = async () => (await bridge.ping(20)) > 0;
  /** Nothing flows, then it does again; says how long that took and what was lost for good. */
  const resumes = async (what: string, before: number) => {
    const began = performance.now();
    await until(flows, `traffic resumes after ${what}`);
    const took = Math.round(performance.now() - began);
    let after = 0;
    const steady = async () => {
      after = await bridge.ping(100);
      return after >= 95;
    };
    await until(steady, `traffic is steady after ${what}`);
    console.log(`      ${what}: ${before} of 100 answers before, back after ${took} ms, then ${after} of 100`);
  };

  it('carries ARP and echoes of 64 and 1500 bytes between the bridge and the socket, and bulk', async () => {
    assert.equal(await bridge.ping(20), 0);
    await bridge.forwarder.attach(bridge.pair);
    await until(flows, 'the first packet is answered');
    const [small, large] = [await bridge.ping(100), await bridge.ping(100, 1472)];
    const bulk = await bridge.ping(3000, 1472, ['-f', '-l', '32']);
    console.log(
      `      ${small} of 100 small, ${large} of 100 full-size echoes, and ${bulk} of 3000 as fast as it goes were answered`,
    );
    assert(small >= 95 && large >= 95 && bulk >= 2700);
  });

  it('is one process, however often the pair is attached', async () => {
    await bridge.forwarder.attach(bridge.pair);
    assert.equal((await bridge.relays()).length, 1);
    await assert.rejects(bridge.forwarder.attach({ ...bridge.pair, socket: '/tmp/other' }), /is relayed to .* already/);
    assert.match(await status(), /^forwarding on CPU 1, process \d+$/);
    assert.equal(await bridge.forwarder.health(), undefined);
  });

  it('resumes when it is killed: it is started again, the consumer is not', async () => {
    const [before, pids, consumerPid] = [await bridge.ping(100), await bridge.relays(), consumer.pid];
    process.kill(pids[0] ?? 0, 'SIGKILL');
    await resumes('relay killed', before);
    assert.notDeepEqual(await bridge.relays(), pids);
    assert(consumer.running() && consumer.pid === consumerPid);
  });

  it('resumes when the consumer is killed and comes back: the relay goes on', async () => {
    const [before, pids] = [await bridge.ping(100), await bridge.relays()];
    await consumer.kill();
    assert.equal(await bridge.ping(20), 0);
    consumer = await startConsumer({ socket: bridge.pair.socket, mac: consumerMac });
    await resumes('consumer killed', before);
    assert.deepEqual(await bridge.relays(), pids);
  });

  it('goes on without its supervisor, and the next one finds it instead of starting a second', async () => {
    const pids = await bridge.relays();
    const pinging = bridge.ping(600);
    bridge.supervisor().signal('SIGKILL');
    await bridge.supervisor().stop();
    assert.match((await bridge.forwarder.health()) ?? '', /supervisor did not answer .* is smartnic-forwarder running/);
    await assert.rejects(bridge.forwarder.attach(bridge.pair), { name: 'Unavailable' });
    await bridge.startSupervisor();
    const answers = await pinging;
    console.log(`      supervisor killed and started again: ${answers} of 600 answers meanwhile`);
    assert(answers >= 580);
    await bridge.forwarder.attach(bridge.pair);
    assert.deepEqual(await bridge.relays(), pids);
    assert.match(await status(), /^forwarding/);
  });

  it('that died while there was no supervisor is started by the next one', async () => {
    const before = await bridge.ping(100);
    bridge.supervisor().signal('SIGKILL');
    await bridge.supervisor().stop();
    for (const pid of await bridge.relays()) process.kill(pid, 'SIGKILL');
    await bridge.startSupervisor();
    await resumes('supervisor and relay killed', before);
    assert.equal((await bridge.relays()).length, 1);
  });

  it('is alone with its socket: 0600 in a 0700 directory, one supervisor at a time', async () => {
    assert.equal(statSync(join(bridge.dir, 'run')).mode & 0o777, 0o700);
    assert.equal(statSync(join(bridge.dir, 'run/supervisor.sock')).mode & 0o777, 0o600);
    const first = bridge.supervisor();
    await bridge.startSupervisor();
    await until(async () => !bridge.supervisor().running(), 'the second supervisor gives up');
    assert(first.running());
    await first.stop();
    await bridge.startSupervisor();
  });

  it('is wanted by the CNI server, goes on when that is killed, and is the same one for the next server', async () => {
    await bridge.forwarder.detach(bridge.pair);
    const settings = `forwarder: { kind: testpmd, directory: ${bridge.dir}/run }\n`;
    await using node = await startNode({ settings, server: false });
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    await (await openWantedPairs({ directory: join(node.stateDir, 'forwarder'), bootId })).put(bridge.pair);
    const first = await node.startServer();
    await until(flows, "the server's pair is attached");
    const [pids, pinging] = [await bridge.relays(), bridge.ping(600)];
    await first.stop('SIGKILL');
    await node.startServer();
    const answers = await pinging;
    console.log(`      server killed and started again: ${answers} of 600 answers meanwhile`);
    assert(answers >= 580);
    assert.deepEqual(await bridge.relays(), pids);
  });

  it('leaves nothing when it is detached, twice if need be', async () => {
    await bridge.forwarder.detach(bridge.pair);
    await bridge.forwarder.detach(bridge.pair);
    assert.deepEqual(await bridge.relays(), []);
    assert.deepEqual(readdirSync(join(bridge.dir, 'run/relays')), []);
    await sleep(500);
    assert.deepEqual(await bridge.relays(), []);
    assert(existsSync(bridge.pair.socket), "the socket is the consumer's");
  });

  it("refuses a device that is not there in DPDK's words, and keeps nothing of it", async () => {
    await assert.rejects(
      bridge.forwarder.attach({ ...bridge.pair, device: 'nope' }),
      /^Error: the forwarder did not attach: dpdk-testpmd between nope and .* ended at once: .*SIOCGIFINDEX.*No such device/,
    );
    assert.deepEqual(readdirSync(join(bridge.dir, 'run/relays')), []);
    assert.deepEqual(await bridge.forwarder.attached(), []);
  });
});
