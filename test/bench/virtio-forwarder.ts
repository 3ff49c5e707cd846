// `virtio-forwarder` by back-end: what ADD and DEL cost, how much of it is ours and how much the forwarder's own, and how long traffic is
// gone when the forwarder is killed. The VF's own steps are those of `direct` and need hardware: they are not in here.
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLog } from '../../host/base/log.ts';
import type { Forwarder, Pair } from '../../host/forwarder/forwarder.ts';
import { keepPairs } from '../../host/forwarder/keeper.ts';
import { openWantedPairs } from '../../host/forwarder/wanted-pairs.ts';
import { openXvio } from '../../host/forwarder/xvio/xvio.ts';
import { relayArguments } from '../../supervisor/command-line.ts';
import { startConsumer } from '../support/consumer.ts';
import { startDaemon } from '../support/daemon.ts';
import { startFakeForwarder } from '../support/fake-virtio-forwarder.ts';
import { consumerMac, type RelayedBridge, startRelayedBridge } from '../support/relayed-bridge.ts';
import { type SlotNode, startSlotNode } from '../support/slot-node.ts';
import { until } from '../support/until.ts';
import { type Bench, type Figure, median, rounded, timed } from './figure.ts';

const [plugs, restarts, kills] = [9, 5, 3];

export const run: Bench = async (progress) => [
  ...(await benchXvio(progress)),
  ...(await benchTestpmd(progress)),
  ...(await benchOvsDpdk(progress)),
];

const ms = (name: string, value: number): Figure => ({ name: `virtio-forwarder, ${name}`, value: rounded(value), unit: 'ms' });

/** The daemon is a stand-in that answers at once, so all of it is ours: asking, and the pair's note on disk. */
async function benchXvio(progress: (text: string) => void): Promise<readonly Figure[]> {
  progress('xvio: pairs attached and detached, and 60 of them after a restart (a stand-in for the daemon)');
  await using daemon = await startFakeForwarder();
  await using keeper = await kept(openXvio(daemon));
  const times = { attach: [] as number[], detach: [] as number[] };
  for (let round = -1; round < plugs * 3; round++) {
    for (const verb of ['attach', 'detach'] as const) {
      const taken = await timed(() => keeper[verb](pairOf(0)));
      if (round >= 0) times[verb].push(taken);
    }
  }
  for (let at = 0; at < 60; at++) await keeper.attach(pairOf(at));
  const back = await repeated(restarts, async () => {
    await daemon.stop();
    await daemon.start();
    return await timed(() => until(async () => daemon.pairs().length === 60, '60 pairs are back'));
  });
  return [
    ms('xvio: attach, all ours', median(times.attach)),
    ms('xvio: detach, all ours', median(times.detach)),
    ms('xvio: daemon started again to 60 pairs back', back),
  ];
}

async function benchTestpmd(progress: (text: string) => void): Promise<readonly Figure[]> {
  await using bridge = await startRelayedBridge();
  progress(`testpmd: ${restarts} relays attached and detached, taking turns with dpdk-testpmd started by hand`);
  const times = { attach: [] as number[], ours: [] as number[], detach: [] as number[], bare: [] as number[] };
  for (let round = 0; round < restarts; round++) {
    times.bare.push(await startBare(bridge));
    const { all, ours } = await timedAttach(bridge);
    times.attach.push(all);
    times.ours.push(ours);
    times.detach.push(await timed(() => bridge.forwarder.detach(bridge.pair)));
  }
  progress(`testpmd: ${kills} relays killed under traffic, each after 11 s of life`);
  await bridge.forwarder.attach(bridge.pair);
  await using _consumer = await startConsumer({ socket: bridge.pair.socket, mac: consumerMac });
  const flows = async () => (await bridge.ping(1)) > 0;
  await until(flows, 'traffic flows');
  const back = await repeated(kills, async () => {
    // One that dies young is waited for longer.
    await sleep(11_000);
    for (const pid of await bridge.relays()) process.kill(pid, 'SIGKILL');
    return await timed(async () => {
      while (!(await flows())) await sleep(5);
    });
  });
  return [
    ms('testpmd: attach', median(times.attach)),
    ms('testpmd: dpdk-testpmd by hand until it forwards', median(times.bare)),
    ms('testpmd: attach, our share', median(times.ours)),
    ms('testpmd: detach', median(times.detach)),
    ms('testpmd: relay killed to traffic', back),
  ];
}

/** Ours is what is before the start of dpdk-testpmd, which its log tells by its age, and after its word that it forwards. */
async function timedAttach({ forwarder, pair, dir }: RelayedBridge): Promise<{ readonly all: number; readonly ours: number }> {
  const log = join(dir, 'run/relays', `${pair.device}.log`);
  const began = Date.now();
  const attaching = forwarder.attach(pair);
  await untilForwarding(log);
  const forwarding = Date.now();
  const { birthtimeMs } = await stat(log);
  await attaching;
  const ended = Date.now();
  return { all: ended - began, ours: birthtimeMs - began + (ended - forwarding) };
}

async function untilForwarding(log: string): Promise<void> {
  while (!(await readFile(log, 'utf8').catch(() => '')).includes('vhost-user client: socket created')) await sleep(5);
}

async function startBare({ pair, dir, supervisor }: RelayedBridge): Promise<number> {
  const log = join(dir, 'bare.log');
  await rm(log, { force: true });
  const args = relayArguments(pair, { mainCore: 0, memory: 64, hugepages: false }, 1);
  const command = ['-t', String(supervisor().pid), '-n', 'sh', '-c', 'exec nice -n 15 dpdk-testpmd "$@" >$0 2>&1', log, ...args];
  const began = performance.now();
  const bare = startDaemon('nsenter', command, process.env);
  await untilForwarding(log);
  const taken = performance.now() - began;
  bare.signal('SIGKILL');
  await bare.stop();
  return taken;
}

async function benchOvsDpdk(progress: (text: string) => void): Promise<readonly Figure[]> {
  await using machine = await startSlotNode();
  progress(`ovs-dpdk: ${plugs} slots plugged and unplugged, taking turns with ovs-vsctl`);
  const { node } = machine;
  const { vsctl } = node.ovs;
  const times = { ADD: [] as number[], DEL: [] as number[], add: [] as number[], del: [] as number[] };
  for (let round = -1; round < plugs; round++) {
    const pod = await machine.pod();
    const taken = {
      ADD: await timed(() => answered(node, 'ADD', pod.call)),
      DEL: await timed(() => answered(node, 'DEL', pod.call)),
      add: await timed(() => vsctl('add-port', 'br0', 'hand', '--', 'set', 'Interface', 'hand', ...port(pod.socket))),
      del: await timed(() => vsctl('del-port', 'hand')),
    };
    await machine.end(pod);
    if (round >= 0) for (const name of Object.keys(taken) as (keyof typeof taken)[]) times[name].push(taken[name]);
  }
  progress('ovs-dpdk: ovs-vswitchd killed under traffic, three times');
  const back = await restartUnderTraffic(machine);
  const [ADD, add] = [median(times.ADD), median(times.add)];
  return [
    ms('ovs-dpdk: ADD', ADD),
    ms('ovs-dpdk: the same port by ovs-vsctl', add),
    { name: 'virtio-forwarder, ovs-dpdk: ADD, ours / ovs-vsctl', value: rounded(ADD / add), unit: 'x' },
    ms('ovs-dpdk: DEL', median(times.DEL)),
    ms('ovs-dpdk: its removal by ovs-vsctl', median(times.del)),
    ms('ovs-dpdk: ovs-vswitchd started again to traffic', back),
  ];
}

function port(socket: string): readonly string[] {
  return ['type=dpdkvhostuserclient', `options:vhost-server-path=${socket}`, 'mtu_request=1500'];
}

async function restartUnderTraffic({ node, pod }: SlotNode): Promise<number> {
  const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as const;
  const [sending, receiving] = [await pod({ mac: macs[0] }), await pod({ mac: macs[1] })];
  await answered(node, 'ADD', sending.call);
  const arriving: string = (await answered(node, 'ADD', receiving.call)).interfaces[0].name;
  await using _receiver = await startConsumer({ socket: receiving.socket, mac: macs[1], mode: 'rxonly' });
  const args = [`--eth-peer=0,${macs[1]}`];
  await using _sender = await startConsumer({ socket: sending.socket, mac: macs[0], mode: 'txonly', args });
  const packets = async () =>
    Number(await node.ovs.vsctl('--no-wait', 'get', 'Interface', arriving, 'statistics:tx_packets').catch(() => '0'));
  await until(async () => (await packets()) > 0, 'packets arrive');
  const back = await repeated(3, async () => {
    await node.ovs.killVswitchd();
    await node.ovs.vsctl('--no-wait', 'clear', 'Interface', arriving, 'statistics');
    return await timed(async () => {
      await node.ovs.startVswitchd();
      while ((await packets()) === 0) await sleep(20);
    });
  });
  for (const { call } of [sending, receiving]) await answered(node, 'DEL', call);
  return back;
}

async function answered({ cni }: SlotNode['node'], command: string, call: Parameters<typeof cni>[1]) {
  const { exit, json, stdout } = await cni(command, call);
  if (exit !== 0) throw new Error(`${command}: ${stdout}`);
  return json;
}

async function repeated(count: number, once: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < count; round++) times.push(await once());
  return median(times);
}

function pairOf(at: number): Pair {
  const device = `0000:0a:${(at >> 3).toString(16).padStart(2, '0')}.${at & 7}`;
  return { device, socket: `/run/smartnic/vhost/${device}/vhost.sock`, mac: consumerMac, mtu: 1500 };
}

/** As the CNI server keeps it. */
async function kept(forwarder: Forwarder): Promise<Forwarder> {
  const directory = await mkdtemp(join(tmpdir(), 'pairs-'));
  const keeper = keepPairs({
    ...{ forwarder, log: openLog('silent'), isOurs: () => true, attachmentOf: () => undefined, isServed: () => false },
    wanted: await openWantedPairs({ directory, bootId: 'bench' }),
  });
  return {
    ...keeper,
    [Symbol.asyncDispose]: async () => {
      await keeper[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}
