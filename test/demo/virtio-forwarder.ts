// The demonstration of `virtio-forwarder` without a VF: two pods on Open vSwitch with DPDK, plugged by real ADDs; and a dpdk-testpmd relay of
// our supervisor, where one end of a veth stands for the VF and the other for its representor.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startConsumer } from '../support/consumer.ts';
import { consumerMac, startRelayedBridge } from '../support/relayed-bridge.ts';
import { startSlotNode } from '../support/slot-node.ts';
import { table } from '../support/table.ts';
import { until } from '../support/until.ts';
import { type Shown, step } from './show.ts';

const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02'] as const;

export async function showSlots(): Promise<Shown> {
  step('virtio-forwarder: starting Open vSwitch with DPDK, the device plugin with slots, a fake kubelet and the smartnic server');
  await using machine = await startSlotNode({ logLevel: 'info' });
  const { node } = machine;
  step('virtio-forwarder: plugging two pods by dist/smartnic; a DPDK program in each serves the socket that it got');
  const pods = [await machine.pod({ mac: macs[0] }), await machine.pod({ mac: macs[1] })] as const;
  const ports: string[] = [];
  for (const { call } of pods) {
    const { exit, json, stdout } = await node.cni('ADD', call);
    if (exit !== 0) throw new Error(stdout);
    ports.push(json.interfaces[0].name);
  }
  const rows = pods.map(({ name, slot, socket }, at) => [name, 'virtio-forwarder', slot, ports[at] ?? '', socket]);
  console.log(`\n${table(['pod', 'type', 'device', 'port', 'socket'], rows)}\n`);
  let figure = '';
  {
    await using _receiver = await startConsumer({ socket: pods[1].socket, mac: macs[1], mode: 'rxonly' });
    const args = [`--eth-peer=0,${macs[1]}`];
    await using _sender = await startConsumer({ socket: pods[0].socket, mac: macs[0], mode: 'txonly', args });
    const packets = async () =>
      Number(await node.ovs.vsctl('--no-wait', 'get', 'Interface', ports[1] ?? '', 'statistics:tx_packets').catch(() => '0'));
    /** Open vSwitch counts every five seconds. */
    const next = async (last: number) => {
      await until(async () => (await packets()) > last, 'packets arrive');
      return { count: await packets(), at: performance.now() };
    };
    const first = await next(0);
    const second = await next(first.count);
    figure = `${Math.round(((second.count - first.count) * 1000) / (second.at - first.at))} packets a second`;
  }
  step('virtio-forwarder: taking the pods away');
  for (const { call } of pods) await node.cni('DEL', call);
  const row = ['virtio-forwarder', 'real ADD; ovs-dpdk, no VF', `${pods[0].name} - ${pods[1].name}`, figure];
  return { rows: [row], left: [...(await node.leftovers()), ...pods.map(({ socket }) => socket).filter(existsSync)] };
}

export async function showRelay(): Promise<Shown> {
  step('virtio-forwarder: a dpdk-testpmd relay of our supervisor, with a veth that stands for the VF and its representor');
  await using bridge = await startRelayedBridge();
  await bridge.forwarder.attach(bridge.pair);
  await using consumer = await startConsumer({ socket: bridge.pair.socket, mac: consumerMac });
  const flows = async () => (await bridge.ping(1)) > 0;
  await until(flows, 'the consumer answers');
  const answered = await bridge.ping(3000, 1400, ['-f', '-l', '16']);
  step('virtio-forwarder: killing the relay, and waiting for traffic to resume');
  const began = performance.now();
  for (const pid of await bridge.relays()) process.kill(pid, 'SIGKILL');
  while (!(await flows())) await sleep(10);
  const gone = ((performance.now() - began) / 1000).toFixed(1);
  const stays = consumer.running() ? 'the consumer went on' : 'the consumer ended';
  await bridge.forwarder.detach(bridge.pair);
  const left = (await bridge.relays()).map((pid) => `relay ${pid}`);
  const figure = `${answered} of 3000 echoes answered; back ${gone} s after kill -9, ${stays}`;
  return { rows: [['virtio-forwarder', 'a veth stands for the VF; testpmd relay', 'neighbour - consumer', figure]], left };
}
