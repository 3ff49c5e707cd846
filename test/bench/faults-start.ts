// How soon a server with 1000 attachments serves, and how long its sweep takes: when all live, and when none does.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run as runProgram } from '../../tools/program.ts';
import type { TestNetns } from '../support/netns.ts';
import { network, startNode, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';
import { atMost, type Bench, type Figure, median, rounded, seconds, timed } from './figure.ts';

const attachments = 1000;
const starts = 5;

export const run: Bench = async (progress) => [
  ...(await benchStart(progress, withAddress)),
  ...(await benchStart(progress, withoutAddress)),
];

interface Kind {
  readonly words: string;
  readonly config: (node: TestNode) => object;
  /** Seconds for a sweep of the dead. Absent where it is only told: the plugin that takes back an address is a program, and runs for each of them. */
  readonly deadGoal?: number;
}

const withAddress: Kind = { words: 'with an address each', config: (node) => network(node) };
const withoutAddress: Kind = { words: 'without addresses', config: (node) => network(node, { ipam: undefined }), deadGoal: 3 };

async function benchStart(progress: Parameters<Bench>[0], { words, config, deadGoal }: Kind): Promise<readonly Figure[]> {
  // On a userspace datapath, ovs-vswitchd needs seconds for one more port when it has a thousand.
  await using node = await startNode({ logLevel: 'info', settings: 'portTimeout: 100\n' });
  const crowd = await quietPod(node);
  progress(`attaching ${attachments} ${words}`);
  await attachMany(node, crowd, config(node));
  const [answers, sweeps]: [number[], number[]] = [[], []];
  progress(`${starts} starts with all of them alive`);
  for (let at = 0; at < starts; at++) {
    await node.server.stop();
    answers.push(await timed(async () => await firstAnswer(node)));
    sweeps.push(await sweepTime(node));
  }
  await node.server.stop('SIGKILL');
  progress('the same after a reboot: no pod lives');
  await crowd[Symbol.asyncDispose]();
  await reboot(node);
  const afterReboot = await timed(async () => await firstAnswer(node));
  const dead = await sweepTime(node);
  const name = `sweep of ${attachments} ${words}, none of which lives`;
  const programs = await programTime(node);
  return [
    seconds(1, `start with ${attachments} attachments ${words}: to the first answer`, median(answers)),
    seconds(3, `sweep of ${attachments} ${words} that live`, median(sweeps)),
    seconds(1, `start after a reboot with ${attachments} ${words}: to the first answer`, afterReboot),
    deadGoal === undefined ? { name, value: rounded(dead / 1000), unit: 's' } : seconds(deadGoal, name, dead),
    ...(deadGoal === undefined
      ? [{ name: "of that, the IPAM plugin's own processor time (all processors)", value: rounded(programs), unit: 's' }]
      : []),
    atMost(0, { name: `left after that sweep, ${words}`, value: (await node.leftovers()).length, unit: '' }),
  ];
}

/** Without IPv6. Else a thousand interfaces in one namespace send multicasts to each other, and ovs-vswitchd does little else. */
async function quietPod(node: TestNode): Promise<TestNetns> {
  const pod = await node.pod();
  const off = ['all', 'default'].map((name) => `net.ipv6.conf.${name}.disable_ipv6=1`);
  await runProgram('ip', ['netns', 'exec', pod.name, 'sysctl', '-qw', ...off]);
  return pod;
}

/** Seconds of user and system time of the programs that the server ran and that have ended: proc(5), `cutime` and `cstime`, in ticks of 10 ms. */
async function programTime({ server }: TestNode): Promise<number> {
  const [, rest = ''] = (await readFile(`/proc/${server.pid}/stat`, 'utf8')).split(') ');
  const fields = rest.split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

/** From the start of the process on: a STATUS by the executable, which waits for the server as a runtime's does. */
async function firstAnswer(node: TestNode): Promise<void> {
  const [, { exit, stdout }] = await Promise.all([
    node.startServer(),
    node.cni('STATUS', { containerId: '', config: network(node, { cniVersion: '1.1.0' }) }),
  ]);
  if (exit !== 0) throw new Error(stdout);
}

/** Milliseconds, by the server's own word on its last sweep. */
async function sweepTime(node: TestNode): Promise<number> {
  await node.server.swept(120);
  const lines = (await node.log()).split('\n').filter((line) => line.includes('"msg":"swept"'));
  return JSON.parse(lines.at(-1) ?? '{}').ms;
}

async function attachMany(node: TestNode, pod: TestNetns, config: object): Promise<void> {
  for (let at = 0; at < attachments; at += 20) {
    const some = Array.from({ length: 20 }, (_, index) => at + index);
    const answers = await Promise.all(
      some.map((each) => node.cni('ADD', { containerId: `crowd-${each}`, ifname: `e${each}`, netns: pod.path, config })),
    );
    const failed = answers.find(({ exit }) => exit !== 0);
    if (failed !== undefined) throw new Error(failed.stdout);
  }
}

async function reboot(node: TestNode): Promise<void> {
  await until(async () => !(await node.leftovers()).some((each) => each.startsWith('link ')), 'the links go', 120);
  const directory = join(node.stateDir, 'attachments');
  for (const name of await readdir(directory)) {
    const text = await readFile(join(directory, name), 'utf8');
    await writeFile(join(directory, name), text.replace(/"bootId":"[^"]*"/, '"bootId":"another"'));
  }
}
