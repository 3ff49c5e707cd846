// How soon a server is gone after SIGTERM, and its successor serves, while something outside hangs.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeRequest } from '../../cni/server/frame.ts';
import { writeIpam } from '../support/crash.ts';
import { type FakeApiServer, kubeconfig, startFakeApiServer } from '../support/fake-api-server.ts';
import { startHeldNode } from '../support/held-node.ts';
import type { TestNetns } from '../support/netns.ts';
import { type CniCall, containerId, ipamDirectory, network, startNode, type TestNode } from '../support/node.ts';
import { mountReadOnly } from '../support/read-only.ts';
import { until } from '../support/until.ts';
import { type Bench, type Figure, seconds, timed } from './figure.ts';

type Progress = Parameters<Bench>[0];

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
  'an ADD waits for an ovs-vswitchd that hangs': async (scene) => {
    const { ovs } = scene.node;
    ovs.pauseVswitchd();
    scene.undo.defer(() => ovs.resumeVswitchd());
    scene.call('ADD', callOf(scene));
    await sleep(200);
  },
  'an ADD waits for a hook that hangs': async (scene) => {
    const call = callOf(scene);
    scene.call('ADD', { ...call, config: { ...(call.config as object), hooks: true } });
    await hanging(scene);
  },
  'a runtime gave up its ADD, and IPAM hangs': async (scene) => {
    const { node } = scene;
    const { containerId: id, netns = '', config } = callOf(scene, 'hangs');
    const names = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: 'eth0', CNI_ARGS: '' };
    const env = { ...names, CNI_PATH: `${join(node.dir, 'ipam')}:${ipamDirectory}` };
    const client = createConnection(node.socket);
    client.write(encodeRequest({ env, stdin: JSON.stringify(config) }));
    await hanging(scene);
    client.destroy();
  },
  // In the server's own mount namespace, which ends with it.
  'the state directory is read-only': async ({ node }) => void (await mountReadOnly(node.stateDir, node.server.pid)),
};

export const run: Bench = async (progress) => {
  const figures: Figure[] = [];
  await using node = await startNode({ server: false, logLevel: 'info' });
  await using api = await startFakeApiServer({ netns: `/run/netns/${node.ovs.netns}` });
  await writeFile(join(node.dir, 'kubeconfig'), kubeconfig(api.url));
  const file = join(node.dir, 'config.yaml');
  await writeFile(
    file,
    `${await readFile(file, 'utf8')}nodeName: n1\nkubernetes: { kubeconfig: ${node.dir}/kubeconfig }\nhookDir: ${node.dir}/hooks\n`,
  );
  const mark = join(node.dir, 'hanging');
  await writeIpam(node, 'hangs', `[ -e ${mark} ] && echo $$ > ${mark} && exec sleep 1000\nexec /usr/lib/cni/host-local`);
  await mkdir(join(node.dir, 'hooks'));
  const hook = `#!/bin/sh\n[ -e ${mark} ] && echo $$ > ${mark} && exec sleep 1000\nexit 0\n`;
  await writeFile(join(node.dir, 'hooks/10-hangs'), hook, { mode: 0o755 });
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
    figures.push(...endOf(name, { gone, next }));
    await undo.disposeAsync();
    await Promise.all(calls);
    await node.server.stop('SIGKILL');
  }
  return [...figures, ...(await benchHeld(progress))];
};

async function benchHeld(progress: Progress): Promise<readonly Figure[]> {
  const name = 'ten DELs wait for drivers that do not let go of their VFs';
  progress(`SIGTERM while ${name}`);
  await using held = await startHeldNode(10);
  await held.node.startServer();
  await held.node.server.swept();
  const deletions = held.attachments.map(held.del);
  await until(async () => (await held.errands()) === 10, 'the kernel holds ten processes');
  const gone = await timed(async () => await held.node.server.stop());
  const next = await timed(async () => await held.node.startServer());
  await Promise.all(deletions);
  await held.node.server.stop('SIGKILL');
  await held.release();
  return endOf(name, { gone, next });
}

function endOf(name: string, { gone, next }: { readonly gone: number; readonly next: number }): readonly Figure[] {
  return [
    seconds(name === 'nothing runs' ? 3 : 45, `SIGTERM to gone: ${name}`, gone),
    seconds(1, `the next server serves: ${name}`, next),
  ];
}

function callOf({ node, pod }: Scene, ipamType = 'host-local'): CniCall {
  const { ipam, ...rest } = network(node) as { readonly ipam: object };
  return { containerId: containerId(), netns: pod.path, config: { ...rest, ipam: { ...ipam, type: ipamType } } };
}

async function hanging({ node }: Scene): Promise<void> {
  await until(async () => (await readFile(join(node.dir, 'hanging'), 'utf8')) !== '', 'the IPAM plugin hangs');
}
