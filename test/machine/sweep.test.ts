// What a starting server does about reboots, lost and torn journals, ports that nobody knows, and an OVSDB that is down.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CrashNode, peerAddress, startCrashNode } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import type { TestNetns } from '../support/netns.ts';
import type { CniCall, TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

describe('a starting server', () => {
  let crash: CrashNode;
  let node: TestNode;
  let peers: readonly string[];
  let peerPort: string;
  let directory: string;
  forAllTests(startCrashNode, async (made) => {
    crash = made;
    node = crash.node;
    peers = await node.journal();
    peerPort = await node.ovs.vsctl('list-ports', 'br0');
    directory = join(node.stateDir, 'attachments');
  });
  afterEach(() => node.server.stop());

  /** The next server serves, and has swept. */
  const swept = async () => await (await node.startServer()).swept();
  /** Attaches, lets the server die, and gives the journal's files of it. */
  const attachedAndDead = async (call: CniCall): Promise<readonly string[]> => {
    await node.startServer();
    const added = await node.cni('ADD', call);
    assert.equal(added.exit, 0, added.stdout);
    await node.server.stop('SIGKILL');
    return (await node.journal()).filter((name) => !peers.includes(name)).map((name) => join(directory, name));
  };
  /** The pod is gone, and so is its cable: the kernel clears a namespace away behind our back. */
  const died = async (pod: TestNetns) => {
    await pod[Symbol.asyncDispose]();
    await until(async () => !(await crash.left()).some((each) => each.startsWith('link ')), 'the cable went with the pod');
  };
  const edit = async (files: readonly string[], change: (text: string) => string) => {
    assert.ok(files.length > 0);
    for (const file of files) await writeFile(file, change(await readFile(file, 'utf8')));
  };
  const addPort = async (name: string, ids: readonly string[]) => {
    const set = ids.length === 0 ? [] : ['--', 'set', 'Interface', name, ...ids.map((pair) => `external_ids:${pair}`)];
    await node.ovs.vsctl('--no-wait', 'add-port', 'br0', name, ...set);
  };
  const deletedAndClean = async (call: CniCall) => {
    const deleted = await node.cni('DEL', call);
    assert.deepEqual([deleted.exit, deleted.stdout], [0, '']);
    assert.deepEqual(await crash.left(), []);
  };

  it('removes what a reboot left: ports and addresses of pods that are gone', async () => {
    await using other = await node.pod();
    const files = await attachedAndDead({ ...crash.call(), netns: other.path });
    await died(other);
    await edit(files, (text) => text.replace(/"bootId":"[^"]*"/, '"bootId":"another boot"'));
    assert.match((await crash.left()).join(), /port .*journal .*lease /);
    await swept();
    assert.deepEqual(await crash.left(), []);
  });

  it('removes an attachment whose cable died with its pod', async () => {
    await using other = await node.pod();
    await attachedAndDead({ ...crash.call(), netns: other.path });
    await died(other);
    await swept();
    assert.deepEqual(await crash.left(), []);
  });

  it('leaves a living pod whose journal is lost alone; its DEL finds the port by external_ids', async () => {
    const call = crash.call();
    for (const file of await attachedAndDead(call)) await rm(file);
    await swept();
    await crash.ping();
    await deletedAndClean(call);
  });

  it('removes ports of ours that no journal knows and whose netdev is gone, and no others', async () => {
    await using other = await node.pod();
    for (const file of await attachedAndDead({ ...crash.call({ ipam: {} }), netns: other.path })) await rm(file);
    await died(other);
    const ours = ['owner=smartnic.io', 'smartnic-network=n', 'smartnic-container=c', 'smartnic-ifname=eth0'];
    await addPort('a-vf', [...ours, 'smartnic-type=direct', 'smartnic-pci=0000\\:04\\:00.1']);
    await addPort('a-newer', [...ours, 'smartnic-type=of-a-newer-version']);
    await addPort('theirs', ['owner=somebody.else', ...ours.slice(1)]);
    await addPort('nobodys', []);
    await swept();
    assert.deepEqual((await crash.left()).toSorted(), ['port a-newer', 'port a-vf']);
    assert.equal(await node.ovs.vsctl('list-ports', 'br0'), ['a-newer', 'a-vf', 'nobodys', peerPort, 'theirs'].join('\n'));
    for (const name of ['a-vf', 'a-newer', 'theirs', 'nobodys']) await node.ovs.vsctl('del-port', name);
  });
  it('takes a commit that was torn for none, since its answer was never sent', async () => {
    const files = await attachedAndDead(crash.call());
    await edit(files, (text) => text.trimEnd().slice(0, -10));
    await swept();
    assert.deepEqual(await crash.left(), []);
  });

  it('keeps a living pod when the note of its deletion is torn, and then deletes it', async () => {
    const call = crash.call();
    await edit(await attachedAndDead(call), (text) => `${text}\n{"phase":"del`);
    await swept();
    await crash.ping();
    await deletedAndClean(call);
  });

  it('is not stopped by garbage in the journal', async () => {
    const call = crash.call();
    await attachedAndDead(call);
    await writeFile(join(directory, '000000000000.jsonl'), '{"version":2,"phase":"adding","attachm');
    await writeFile(join(directory, '000000000001.jsonl'), '');
    await writeFile(join(directory, '000000000002.jsonl'), Buffer.from([0, 0xff, 0x80]));
    await writeFile(join(directory, '000000000004.jsonl'), Buffer.from([0, 0xff, 0x0a, 0x80]));
    await mkdir(join(directory, '000000000005.jsonl'));
    await writeFile(join(directory, '000000000003.jsonl'), '{"version":2,"attachment":{}}\n');
    await writeFile(join(directory, 'README'), 'not ours');
    await swept();
    await crash.ping();
    assert.equal((await node.cni('DEL', call)).exit, 0);
    const left = (await crash.left()).map((each) => each.replace('journal ', ''));
    for (const name of left) await rm(join(directory, name), { recursive: true });
    // An entry whose first line is torn counts as nothing. An entry that is not understood is left for a person and reported.
    const odd = ['README', '000000000003.jsonl', '000000000004.jsonl', '000000000005.jsonl'];
    assert.deepEqual(left.toSorted(), odd.toSorted());
    for (const name of odd.slice(1)) assert.match(await node.log(), new RegExp(`${name} can't be read and is left alone`));
  });

  it('goes on when the journal is deleted while it runs', async () => {
    await swept();
    const first = crash.call();
    assert.equal((await node.cni('ADD', first)).exit, 0);
    const kept = await Promise.all(peers.map(async (name) => [name, await readFile(join(directory, name))] as const));
    await rm(directory, { recursive: true });
    await node.ovs.ovsdb.stop();
    await node.ovs.ovsdb.start(); // makes it sweep
    assert.equal((await node.cni('DEL', first)).exit, 0);
    const second = crash.call();
    const added = await node.cni('ADD', second);
    assert.equal(added.exit, 0, added.stdout);
    for (const [name, text] of kept) await writeFile(join(directory, name), text);
    await deletedAndClean(second);
  });

  it('never touches what lives: a ping goes on through stops and kills', async () => {
    const call = crash.call();
    await attachedAndDead(call);
    const ping = spawn('ip', ['netns', 'exec', crash.pod.name, 'ping', '-i', '0.02', '-W', '1', peerAddress]);
    let output = '';
    ping.stdout.on('data', (text: Buffer) => {
      output += text.toString();
    });
    const ended = once(ping, 'close');
    try {
      for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
        await node.startServer();
        await node.server.stop(signal);
      }
    } finally {
      ping.kill('SIGINT');
    }
    await ended;
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(output) ?? [];
    assert.ok(Number(sent) > 20, output);
    assert.equal(received, sent, output);
    await swept();
    await deletedAndClean(call);
  });

  it('serves at once though OVSDB is down, waits for it once in its sweep, and sweeps when it is back', async () => {
    const files: string[] = [];
    for (let count = 0; count < 4; count++) files.push(...(await attachedAndDead({ ...crash.call(), ifname: `net${count}` })));
    await edit([...new Set(files)], (text) => text.split('\n')[0] ?? '');
    await node.ovs.ovsdb.stop();
    const logged = (await node.log()).length;
    const server = await node.startServer();
    assert.doesNotMatch((await node.log()).slice(logged), /"msg":"swept"/, 'it serves before it has swept');
    const began = performance.now();
    await server.swept();
    assert.ok(performance.now() - began < 9000, `its sweep ended after ${performance.now() - began} ms`);
    const refused = await node.cni('ADD', crash.call());
    assert.equal(refused.json.code, 11, refused.stdout);
    assert.match(refused.json.msg, /db\.sock/);
    await node.ovs.ovsdb.start();
    await until(async () => (await crash.left()).length === 0, 'nothing is left');
  });
});
