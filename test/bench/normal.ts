// ADD and DEL of `normal` with host-local, against Debian's own `bridge` + `host-local`, both in one namespace, taking turns.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inNetns, openNetns } from '../../host/kernel/netns.ts';
import { spawn } from '../../host/program/spawn.ts';
import { run as runProgram } from '../../tools/program.ts';
import { type FakeApiServer, kubeconfig, startFakeApiServer } from '../support/fake-api-server.ts';
import type { TestNetns } from '../support/netns.ts';
import { containerId, ipamDirectory, network, startNode, type TestNode } from '../support/node.ts';
import { atMost, type Bench, type Figure, median, rounded, timed } from './figure.ts';

const rounds = 15;
const parallel = [20, 100] as const;
const portCounts = [0, 100, 300, 1000] as const;

export const run: Bench = async (progress) => {
  await using node = await startNode({ server: false });
  await using api = await startFakeApiServer({ netns: `/run/netns/${node.ovs.netns}` });
  await serveWatching(node, api);
  await using crowd = await node.pod();
  // 1000 interfaces that ask for neighbours by multicast would keep a userspace datapath busy with flooding alone.
  await runProgram('ip', ['netns', 'exec', crowd.name, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
  const figures: Figure[] = [];
  let ports = 0;
  for (const count of portCounts) {
    progress(`filling both bridges to ${count} ports`);
    await fill(node, crowd, ports, count);
    ports = count;
    progress(`${rounds} rounds of ADD and DEL, taking turns`);
    figures.push(...(await sequential(node, count)));
    if (count !== 0) continue;
    for (const many of parallel) {
      progress(`${many} ADDs at once, then ${many} DELs`);
      figures.push(...(await atOnce(node, many)));
    }
  }
  const resident = Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${node.server.pid}/status`, 'utf8'))?.[1]) / 1024;
  figures.push(
    atMost(110, {
      name: `server: resident memory with ${ports} attachments and 100 pods watched`,
      value: rounded(resident),
      unit: 'MB',
    }),
  );
  progress('taking everything away');
  return figures;
};

/** As in a cluster: the server watches this node's pods, 100 of them, each of some kilobytes. */
async function serveWatching(node: TestNode, api: FakeApiServer): Promise<void> {
  const more = {
    status: { conditions: Array.from({ length: 30 }, (_, index) => ({ type: `Condition${index}`, message: 'x'.repeat(80) })) },
  };
  for (let pod = 0; pod < 100; pod++) api.put({ name: `pod-${pod}`, uid: `uid-${pod}`, nodeName: 'n1', more });
  await writeFile(join(node.dir, 'kubeconfig'), kubeconfig(api.url));
  const settings = { ovsdb: node.ovs.address, nodeName: 'n1', kubernetes: { kubeconfig: join(node.dir, 'kubeconfig') } };
  await writeFile(join(node.dir, 'bench.yaml'), JSON.stringify(settings));
  await node.startServer({ SMARTNIC_CONFIG: join(node.dir, 'bench.yaml') });
}

/** Ports that stay: ours attached without addresses, theirs as veths by `ip`. */
async function fill(node: TestNode, crowd: TestNetns, from: number, to: number): Promise<void> {
  const config = { cniVersion: '1.0.0', name: 'crowd', type: 'smartnic', bridge: 'br0' };
  for (let port = from; port < to; port += 50) {
    const some = Array.from({ length: Math.min(50, to - port) }, (_, index) => port + index);
    const answers = await Promise.all(
      some.map((each) => node.cni('ADD', { containerId: `crowd-${each}`, ifname: `e${each}`, netns: crowd.path, config })),
    );
    const failed = answers.find(({ exit }) => exit !== 0);
    if (failed !== undefined) throw new Error(failed.stdout);
  }
  const lines = Array.from(
    { length: to - from },
    (_, index) => `link add name x${from + index} master peers up type veth peer name y${from + index}`,
  );
  const first = from === 0 && to === 0 ? ['link add name peers up type bridge'] : [];
  await runProgram('ip', ['-n', node.ovs.netns, '-batch', '-'], { input: `${[...first, ...lines].join('\n')}\n` });
}

interface Plugin {
  readonly name: string;
  call(command: 'ADD' | 'DEL', pod: TestNetns, id: string): Promise<void>;
}

function plugins(node: TestNode): readonly [Plugin, Plugin] {
  const ours = network(node, { name: 'ours' }, ['10.77.0.0/16']);
  const theirs = { ...network(node, { name: 'theirs' }, ['10.78.0.0/16']), type: 'bridge', bridge: 'peers' };
  return [
    {
      name: 'smartnic',
      call: (command, pod, id) =>
        start(node, join(import.meta.dirname, '../../dist/smartnic'), { command, pod, id, config: ours }),
    },
    {
      name: 'bridge',
      call: (command, pod, id) => start(node, join(ipamDirectory, 'bridge'), { command, pod, id, config: theirs }),
    },
  ];
}

interface Start {
  readonly command: string;
  readonly pod: TestNetns;
  readonly id: string;
  readonly config: object;
}

/** Both executables are started the same way, inside the node's namespace. */
async function start(node: TestNode, file: string, { command, pod, id, config }: Start): Promise<void> {
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: ipamDirectory,
    SMARTNIC_SOCKET: node.socket,
  };
  using netns = openNetns(`/run/netns/${node.ovs.netns}`);
  // Not by Node's own spawn: its fork of this process would cost more than what is measured.
  using running = inNetns(netns, () => spawn({ file, args: [], env, stdin: JSON.stringify(config) }));
  if (!(await running.ended(60_000))) throw new Error(`${file} ${command} does not end`);
  const { exitCode, stdout, stderr } = running.result();
  if (exitCode !== 0) throw new Error(`${file} ${command}: ${stdout}${stderr}`);
}

async function sequential(node: TestNode, ports: number): Promise<readonly Figure[]> {
  const times = { smartnic: { ADD: [] as number[], DEL: [] as number[] }, bridge: { ADD: [] as number[], DEL: [] as number[] } };
  for (let round = -2; round < rounds; round++) {
    for (const plugin of plugins(node)) {
      await using pod = await node.pod();
      const id = containerId();
      for (const command of ['ADD', 'DEL'] as const) {
        const ms = await timed(() => plugin.call(command, pod, id));
        // The first two rounds warm both up.
        if (round >= 0) times[plugin.name as keyof typeof times][command].push(ms);
      }
    }
  }
  return (['ADD', 'DEL'] as const).flatMap((command) => {
    const [ours, theirs] = [median(times.smartnic[command]), median(times.bridge[command])];
    const name = `${command} at ${ports} ports`;
    const ratio = { name: `normal: ${name}, ours / theirs`, value: rounded(ours / theirs), unit: 'x' };
    return [
      { name: `normal: ${name}`, value: rounded(ours), unit: 'ms' },
      { name: `bridge + host-local: ${name}`, value: rounded(theirs), unit: 'ms' },
      ports === 0 ? atMost(command === 'ADD' ? 0.8 : 1, ratio) : ratio,
    ];
  });
}

async function atOnce(node: TestNode, many: number): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const plugin of plugins(node)) {
    await using pods = new AsyncDisposableStack();
    const cells: { readonly pod: TestNetns; readonly id: string }[] = [];
    for (let cell = 0; cell < many; cell++) cells.push({ pod: pods.use(await node.pod()), id: containerId() });
    for (const command of ['ADD', 'DEL'] as const) {
      let failures = 0;
      const ms = await timed(() =>
        Promise.all(cells.map(({ pod, id }) => plugin.call(command, pod, id).catch(() => failures++))),
      );
      figures.push({ name: `${plugin.name}: ${many} ${command}s at once`, value: rounded(ms), unit: 'ms' });
      if (plugin.name === 'smartnic')
        figures.push(atMost(0, { name: `${plugin.name}: failures in ${many} ${command}s at once`, value: failures, unit: '' }));
    }
  }
  return figures;
}
