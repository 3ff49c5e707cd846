// The demonstration of `normal`: a node in private namespaces with a real Open vSwitch and our server, pods plugged the way a runtime does
// it, and which of them reach each other.
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import type { TestNetns } from '../support/netns.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { table } from '../support/table.ts';
import { flood, type Shown, step } from './show.ts';

interface Pod {
  readonly name: string;
  readonly network: string;
  readonly vlan: number;
}

const pods: readonly Pod[] = [
  { name: 'red-1', network: 'red', vlan: 10 },
  { name: 'red-2', network: 'red', vlan: 10 },
  { name: 'blue-1', network: 'blue', vlan: 20 },
  { name: 'blue-2', network: 'blue', vlan: 20 },
];

interface Plugged extends Pod {
  readonly netns: TestNetns;
  readonly id: string;
  readonly config: object;
  readonly addresses: readonly string[];
  readonly row: readonly string[];
}

export async function showNormal(): Promise<Shown> {
  step('normal: starting Open vSwitch with bridge br0 and the smartnic server, in a network namespace of their own');
  await using node = await startNode({ logLevel: 'info' });
  await using namespaces = new AsyncDisposableStack();
  step('normal: plugging four pods by dist/smartnic, as a container runtime does');
  const plugged: Plugged[] = [];
  for (const pod of pods) plugged.push(await plug(node, pod, namespaces.use(await node.pod())));
  const header = ['pod', 'type', 'vlan', 'IPv4', 'IPv6', 'MAC', 'bridge', 'port', 'ofport', 'ms'];
  console.log(
    `\n${table(
      header,
      plugged.map(({ row }) => row),
    )}\n`,
  );
  step('normal: pinging from every pod to every other one, IPv4 and IPv6');
  const rows = await Promise.all(
    plugged.map(async (from) => [from.name, ...(await Promise.all(plugged.map((to) => reach(from, to))))]),
  );
  console.log(`\n${table(['from \\ to', ...plugged.map(({ name }) => name)], rows)}\n`);
  const [first, second] = plugged;
  const figure = await flood(first?.netns.name ?? '', second?.addresses[0] ?? '');
  step('normal: taking the pods away');
  for (const { netns, id, config } of plugged) await node.cni('DEL', { containerId: id, netns: netns.path, config });
  const row = ['normal', 'real ADD; veth on Open vSwitch', 'red-1 - red-2', figure];
  return { rows: [row], left: await node.leftovers() };
}

async function plug(node: TestNode, pod: Pod, netns: TestNetns): Promise<Plugged> {
  // One subnet for both networks: only the VLAN keeps them apart.
  const ranges = [
    [{ subnet: '10.99.0.0/16', rangeStart: `10.99.${pod.vlan}.1` }],
    [{ subnet: 'fd00:99::/64', rangeStart: `fd00:99::${pod.vlan}:1` }],
  ];
  const ipam = { type: 'host-local', dataDir: join(node.dir, 'leases'), ranges };
  const config = network(node, { name: pod.network, vlan: pod.vlan, cniVersion: '1.1.0', ipam });
  const id = containerId();
  const began = performance.now();
  const { exit, stdout, json } = await node.cni('ADD', { containerId: id, netns: netns.path, config });
  if (exit !== 0) throw new Error(`${pod.name}: ${stdout}`);
  const ms = String(Math.round(performance.now() - began));
  const [port, inside] = json.interfaces;
  const ofport = await node.ovs.vsctl('get', 'Interface', port.name, 'ofport');
  const addresses: readonly string[] = json.ips.map((ip: { readonly address: string }) => ip.address.split('/')[0]);
  const row = [pod.name, 'normal', String(pod.vlan), ...addresses, inside.mac, 'br0', port.name, ofport, ms];
  return { ...pod, netns, id, config, addresses, row };
}

async function reach(from: Plugged, to: Plugged): Promise<string> {
  if (from === to) return '-';
  const answers = await Promise.all(to.addresses.map((address) => pings(from, address)));
  return answers.every(Boolean) ? 'yes' : answers.some(Boolean) ? 'in part' : 'no';
}

async function pings({ netns }: Plugged, address: string): Promise<boolean> {
  const { exitCode } = await run('ip', ['netns', 'exec', netns.name, 'ping', '-c', '2', '-i', '0.2', '-w', '2', address], {
    reject: false,
  });
  return exitCode === 0;
}
