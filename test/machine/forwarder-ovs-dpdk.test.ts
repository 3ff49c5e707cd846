// Open vSwitch's userspace datapath with DPDK between two consumers: ports are the vhost-user connections themselves. No hugepages.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openLog } from '../../host/base/log.ts';
import { openOvsDpdk } from '../../host/forwarder/ovs-dpdk.ts';
import { addPort, createBridge, removePorts } from '../../host/ovs/bridge.ts';
import { type Ovsdb, openOvsdb } from '../../host/ovs/ovsdb.ts';
import { skipWithoutDpdk, startConsumer } from '../support/consumer.ts';
import type { Daemon } from '../support/daemon.ts';
import { makeNetns } from '../support/netns.ts';
import { skipWithoutOvs } from '../support/ovs.ts';
import { type OvsdbServer, startOvsdbServer } from '../support/ovsdb-server.ts';
import { until } from '../support/until.ts';

const vswitchd = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';
const macs = ['52:54:00:cc:00:01', '52:54:00:cc:00:02'] as const;

describe('Open vSwitch with DPDK as the forwarder', () => {
  const undo = new AsyncDisposableStack();
  let server: OvsdbServer;
  let db: Ovsdb;
  let daemon: Daemon;
  const start = () => {
    daemon = server.daemon('nice', '-n', '15', vswitchd, server.address, '--disable-system');
  };

  before(async function () {
    skipWithoutOvs.call(this);
    skipWithoutDpdk.call(this);
    if (!existsSync(vswitchd)) {
      console.log(`      skipped: ${vswitchd} is not installed (Debian: openvswitch-switch-dpdk)`);
      this.skip();
    }
    const netns = undo.use(await makeNetns());
    server = undo.use(await startOvsdbServer({ netns: netns.name }));
    db = undo.use(openOvsdb(server.address, { log: openLog('silent') }));
    undo.defer(async () => daemon?.stop());
  });
  after(async () => undo.disposeAsync());

  const socketOf = (at: number) => join(server.dir, `vh${at}.sock`);
  const packets = async (port: string, counter: string) =>
    Number(await server.vsctl('--no-wait', 'get', 'Interface', port, `statistics:${counter}`).catch(() => '0'));

  it('says that DPDK is missing, and takes no pair, where Open vSwitch runs without it', async () => {
    start();
    const forwarder = openOvsDpdk(db);
    assert.match((await forwarder.health()) ?? '', /runs without DPDK: set other_config:dpdk-init=true/);
    const asked = await server.vsctl('--no-wait', 'get', 'Open_vSwitch', '.', 'next_cfg');
    await Promise.all(Array.from({ length: 20 }, () => forwarder.health()));
    assert.equal(
      await server.vsctl('--no-wait', 'get', 'Open_vSwitch', '.', 'next_cfg'),
      asked,
      'who asks often works for nobody',
    );
    await assert.rejects(forwarder.attach({ device: 'x', socket: socketOf(0), mac: macs[0], mtu: 1500 }), /runs without DPDK/);
    await daemon.stop();
  });

  it('carries packets from one consumer to the other, with the MTU asked for, and again after a restart; consumers stay', async () => {
    const extra = 'other_config:dpdk-extra="--no-pci --no-huge --legacy-mem -m 512 --no-telemetry --no-shconf"';
    // With a shared pool, Open vSwitch asks for 262144 more buffers when a second MTU appears.
    const memory = 'other_config:per-port-memory=true';
    const figures = 'other_config:stats-update-interval=1000';
    const settings = [figures, 'other_config:dpdk-init=true', 'other_config:pmd-cpu-mask=0x2', memory, extra];
    await server.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...settings);
    start();
    const forwarder = openOvsDpdk(db);
    await until(async () => (await forwarder.health()) === undefined, 'DPDK is up');
    await createBridge(db, 'br0', { datapathType: 'netdev' });
    for (const at of [0, 1] as const) {
      const pair = { device: `vh${at}`, socket: socketOf(at), mac: macs[at], mtu: 1400 };
      await forwarder.attach(pair);
      assert(forwarder.port);
      await addPort(db, { bridge: 'br0', name: pair.device, externalIds: {}, ...forwarder.port(pair) });
    }
    await using receiver = await startConsumer({ socket: socketOf(1), mac: macs[1], mode: 'rxonly' });
    // At most 32 packets of 64 bytes at a time, and it waits when the ring is full.
    await using sender = await startConsumer({
      socket: socketOf(0),
      mac: macs[0],
      mode: 'txonly',
      args: [`--eth-peer=0,${macs[1]}`],
    });
    const connected = async (mtu: string) => {
      const wanted = `connected, 1 queues, MTU ${mtu}`;
      return (await forwarder.attached()).filter(({ status }) => status.startsWith(wanted)).length === 2;
    };
    await until(() => connected('1400'), 'both are connected, with their MTU');
    await until(async () => (await packets('vh1', 'tx_packets')) > 1000, 'packets arrive');
    const before = await packets('vh1', 'tx_packets');

    daemon.signal('SIGKILL');
    await daemon.stop();
    // Otherwise the test would read the figures of the one that died.
    for (const port of ['vh0', 'vh1']) await server.vsctl('--no-wait', 'clear', 'Interface', port, 'statistics', 'status', 'mtu');
    const began = performance.now();
    start();
    await until(async () => (await forwarder.health()) === undefined, 'DPDK is up again');
    await until(() => connected(''), 'both are connected again');
    await until(async () => (await packets('vh1', 'tx_packets')) > 0, 'packets arrive again');
    const took = Math.round(performance.now() - began);
    const [once, then] = [await packets('vh1', 'tx_packets'), async () => await packets('vh1', 'tx_packets')];
    await until(async () => (await then()) > once, 'they keep arriving');
    console.log(`      ${before} packets before ovs-vswitchd was killed, ${await then()} after; back after ${took} ms`);
    assert(receiver.running() && sender.running());
    await removePorts(db, ['vh0', 'vh1']);
    assert.deepEqual(await forwarder.attached(), []);
  });
});
