// What the crash tests share: a server that dies at a named step of a command, and its successor.
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../tools/program.ts';
import type { TestNetns } from './netns.ts';
import { type CniAnswer, type CniCall, containerId, network, startNode, type TestNode } from './node.ts';

/** Every step between two changes of an ADD, sorted. */
export const addSteps = [
  'addresses set',
  'committed',
  'intent written',
  'ipam answered',
  'port added',
  'veth made',
  'veth up',
] as const;

/** Every step between two changes of a DEL, sorted; also those of a GC and of undoing a failed ADD. */
export const delSteps = ['addresses released', 'cable removed', 'deletion noted', 'journal cleared', 'port removed'] as const;

export interface CrashNode extends AsyncDisposable {
  readonly node: TestNode;
  readonly pod: TestNetns;
  /** A new container in the pod's namespace, its network of CNI 1.1.0. */
  call(more?: object): CniCall;
  /** Does a command with a server that dies at that step; the next server has swept when the answer is there. */
  killedAt(step: string, command: string, call: CniCall): Promise<CniAnswer>;
  /** What is left on the node but for the peer, and the interfaces in the pod but for its loopback. */
  left(): Promise<readonly string[]>;
  /** Pings the peer, which was attached before everything else and must never notice anything. */
  ping(): Promise<void>;
}

/** Seconds that a call waits for the next server: on a very busy machine that needs more than the 20 that are usual. */
const serverWait = 100;

/** Of the attachment that lives through everything. */
export const peerAddress = '10.77.128.2';

/** A node with one living attachment on a network of its own, and a pod to do things to. No server runs. */
export async function startCrashNode(): Promise<CrashNode> {
  await using undo = new AsyncDisposableStack();
  const node = undo.use(await startNode());
  const peer = undo.use(await node.pod());
  const pod = undo.use(await node.pod());
  const peerNetwork = network(node, { name: 'peers', ipam: { type: 'static', addresses: [{ address: `${peerAddress}/16` }] } });
  const attached = await node.cni('ADD', { containerId: containerId(), netns: peer.path, config: peerNetwork });
  assert.equal(attached.exit, 0, attached.stdout);
  await node.server.stop();
  const peers = new Set(await node.leftovers());
  const kept = undo.move();
  return {
    node,
    pod,
    call: (more = {}) => ({
      containerId: containerId(),
      netns: pod.path,
      config: network(node, { cniVersion: '1.1.0', serverWait, ...more }),
    }),
    killedAt: async (step, command, call) => await killedAt(node, step, command, call),
    left: async () => {
      const inPod = ((await pod.ip('link', 'show')) as readonly { readonly ifname: string }[]).map(({ ifname }) => ifname);
      const onNode = (await node.leftovers()).filter((each) => !peers.has(each));
      return [...onNode, ...inPod.filter((name) => name !== 'lo').map((name) => `${name} in the pod`)];
    },
    ping: async () => {
      await run('ip', ['netns', 'exec', pod.name, 'ping', '-c', '1', '-W', '2', peerAddress]);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Does a command with a server that dies at that step; no server runs before. The next one has swept when the answer is there. */
export async function killedAt(node: TestNode, step: string, command: string, call: CniCall): Promise<CniAnswer> {
  const mortal = await node.startServer({ SMARTNIC_STEP_HOOK: `kill:${step}` });
  const answered = node.cni(command, call);
  const died = await Promise.race([mortal.gone.then(() => true), sleep(30_000, false, { ref: false })]);
  assert.ok(died, `the server did not die at "${step}" of ${command}`);
  const next = await node.startServer();
  const answer = await answered;
  await next.swept();
  return answer;
}

/** Name and script of an IPAM plugin that gives no address. */
export const refusingIpam = ['refusing', 'if [ "$CNI_COMMAND" = ADD ]; then echo full >&2; exit 1; fi'] as const;

/** Puts an IPAM plugin of that name, a shell script, into the node's CNI_PATH. */
export async function writeIpam(node: Pick<TestNode, 'dir'>, name: string, script: string): Promise<void> {
  const file = join(node.dir, 'ipam', name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}
