// What does not stop a node, in figures: how soon a server with 1000 attachments serves, how long its sweep takes, and how soon a server is
// gone after SIGTERM, and its successor serves, while something outside hangs.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeIpam } from '../support/crash.ts';
import { type FakeApiServer, kubeconfig, startFakeApiServer } from '../support/fake-api-server.ts';
import type { TestNetns } from '../support/netns.ts';
import { type CniCall, containerId, network, startNode, type TestNode } from '../support/node.ts';
import { mountReadOnly } from '../support/read-only.ts';
import { until } from '../support/until.ts';
import { atMost, type Bench, type Figure, median, rounded, timed } from './figure.ts';

const attachments = 1000;
const starts = 5;

export const run: Bench = async (progress) => [...(await benchStart(progress)), ...(await benchStop(progress))];

type Progress = Parameters<Bench>[0];
const seconds = (limit: number, name: string, ms: number): Figure =>
  atMost(limit, { name, value: rounded(ms / 1000), unit: 's' });

async function benchStart(progress: Progress): Promise<readonly Figure[]> {
  await using node = await startNode({ logLevel: 'info' });
  const crowd = await node.pod();
  progress(`attaching ${attachments}`);
  await attachMany(node, crowd, attachments);
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
  const swept = await sweepTime(node);
  const left = (await node.leftovers()).length;
  return [
    seconds(1, `start with ${attachments} attachments: to the first answer`, median(answers)),
    seconds(3, `sweep of ${attachments} that live`, median(sweeps)),
    seconds(1, `start after a reboot with ${attachments}: to the first answer`, afterReboot),
    { name: `sweep of ${attachments} with an address each, none of which lives`, value: rounded(swept / 1000), unit: 's' },
    atMost(0, { name: 'left after that sweep', value: left, unit: '' }),
  ];
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

async function attachMany(node: TestNode, pod: TestNetns, count: number): Promise<void> {
  for (let at = 0; at < count; at += 20) {
    const some = Array.from({ length: Math.min(20, count - at) }, (_, index) => at + index);
    const config = network(node);
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

interface Scene {
  readonly node: TestNode;
  readonly api: FakeApiServer;
  readonly pod: TestNetns;
  readonly undo: AsyncDisposableStack;
  /** Begins a call; the next server serves before it is waited for. */
  call(command: string, call: CniCall): void;
}

/** Each makes the fault while the server runs, with a call under way where that is what hangs. */
const faults: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'nothing runs': async () => {},
  'an ADD waits for an IPAM plugin that hangs': async (scene) => {
    scene.call('ADD', callOf(scene, 'hangs'));
    await hanging(scene);
  },
  'a DEL waits for an IPAM plugin that hangs': async (scene) => {
    scene.call('DEL', callOf(scene, 'hangs'));
    await hanging(scene);
  },
  'an ADD waits for an API server that is silent': async (scene) => {
    for (const ask of ['list', 'watch', 'get'] as const) scene.api.fail(ask, 'hang');
    scene.undo.defer(() => {
      for (const ask of ['list', 'watch', 'get'] as const) scene.api.fail(ask, undefined);
    });
    scene.call('ADD', { ...callOf(scene), args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_UID=c' });
    await sleep(200);
  },
  'an ADD waits for an OVSDB server that is silent': async (scene) => {
    const { ovsdb } = scene.node.ovs;
    ovsdb.pause();
    scene.undo.defer(() => ovsdb.resume());
    scene.call('ADD', callOf(scene));
    await sleep(200);
  },
  // In the server's own mount namespace, which ends with it.
  'the state directory is read-only': async ({ node }) => void (await mountReadOnly(node.stateDir, node.server.pid)),
};

async function benchStop(progress: Progress): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  await using node = await startNode({ server: false, logLevel: 'info' });
  await using api = await startFakeApiServer({ netns: `/run/netns/${node.ovs.netns}` });
  await writeFile(join(node.dir, 'kubeconfig'), kubeconfig(api.url));
  const file = join(node.dir, 'config.yaml');
  await writeFile(file, `${await readFile(file, 'utf8')}nodeName: n1\nkubernetes: { kubeconfig: ${node.dir}/kubeconfig }\n`);
  const mark = join(node.dir, 'hanging');
  await writeIpam(node, 'hangs', `[ -e ${mark} ] && echo $$ > ${mark} && exec sleep 1000\nexec /usr/lib/cni/host-local`);
  for (const [name, arrange] of Object.entries(faults)) {
    progress(`SIGTERM while ${name}`);
    await using undo = new AsyncDisposableStack();
    await node.startServer();
    await node.server.swept();
    await writeFile(mark, '');
    const pod = undo.use(await node.pod());
    const calls: Promise<unknown>[] = [];
    await arrange({ node, api, pod, undo, call: (command, call) => void calls.push(node.cni(command, call)) });
    const gone = await timed(async () => await node.server.stop());
    await rm(mark);
    const next = await timed(async () => await node.startServer());
    figures.push(seconds(name === 'nothing runs' ? 3 : 45, `SIGTERM to gone: ${name}`, gone));
    figures.push(seconds(1, `the next server serves: ${name}`, next));
    await undo.disposeAsync();
    await Promise.all(calls);
    await node.server.stop('SIGKILL');
  }
  return figures;
}

function callOf({ node, pod }: Scene, ipamType = 'host-local'): CniCall {
  const { ipam, ...rest } = network(node) as { readonly ipam: object };
  return { containerId: containerId(), netns: pod.path, config: { ...rest, ipam: { ...ipam, type: ipamType } } };
}

async function hanging({ node }: Scene): Promise<void> {
  await until(async () => (await readFile(join(node.dir, 'hanging'), 'utf8')) !== '', 'the IPAM plugin hangs');
}
