// GC and STATUS of the shipped executable and bundle under the CNI contract, and the promises of CHECK and DEL to a runtime.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeIpam } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import type { TestNetns } from '../support/netns.ts';
import { containerId, ipamDirectory, network, startNode, type TestNode } from '../support/node.ts';
import { accepted, ask, type Reply, refused } from '../support/runtime.ts';
import { until } from '../support/until.ts';

interface Attached {
  readonly id: string;
  readonly config: object;
  readonly result: object;
}

describe('GC and STATUS, from outside', () => {
  let node: TestNode;
  let pod: TestNetns;
  let path: string;
  let count = 0;
  forAllTests(startNode, async (made, undo) => {
    node = made;
    pod = undo.use(await node.pod());
    path = `${join(node.dir, 'ipam')}:${ipamDirectory}`;
  });

  const config = (more: object = {}) => network(node, { cniVersion: '1.1.0', ...more });
  const call = (command: string, input: object, env: Readonly<Record<string, string>> = {}): Promise<Reply> =>
    ask(node.socket, { CNI_COMMAND: command, CNI_PATH: path, ...env }, input);
  const attach = async (name: string, netns = pod.path): Promise<Attached> => {
    const [id, asked] = [containerId(), config({ name })];
    const env = { CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: `net${count++}` };
    return { id, config: asked, result: (await accepted(call('ADD', asked, env))).json };
  };
  /** The containers that have a port on the bridge. */
  const there = async (): Promise<readonly string[]> => {
    const rows = await node.ovs.vsctl('--bare', '--columns=external_ids', 'find', 'Interface', 'external_ids:owner=smartnic.io');
    return [...rows.matchAll(/smartnic-container=(\w+)/g)].map(([, id]) => id ?? '').toSorted();
  };
  const links = async () => (await node.leftovers()).filter((each) => each.startsWith('link '));
  const valid = (...attached: readonly Attached[]) => ({
    'cni.dev/valid-attachments': attached.map(({ id, result }) => ({
      containerID: id,
      ifname: (result as { readonly interfaces: readonly { readonly name: string }[] }).interfaces[1]?.name,
    })),
  });
  const clean = async () => {
    for (const name of ['tenant-a', 'tenant-b']) await accepted(call('GC', { ...config({ name }), ...valid() }));
    assert.deepEqual(await node.leftovers(), []);
  };

  it('GC takes away what is not listed as valid, on this network and of ours only', async () => {
    const [kept, stale, other] = [await attach('tenant-a'), await attach('tenant-a'), await attach('tenant-b')];
    const foreign = ['owner=somebody.else', 'smartnic-network=tenant-a'].map((pair) => `external_ids:${pair}`);
    await node.ovs.vsctl('add-port', 'br0', 'theirs', '--', 'set', 'Interface', 'theirs', 'type=internal', ...foreign);
    const { text } = await accepted(call('GC', { ...config(), ...valid(kept) }));
    assert.equal(text, '');
    assert.deepEqual(await there(), [kept.id, other.id].toSorted(), `${stale.id} should be gone`);
    await accepted(call('GC', { ...config(), ...valid() }));
    assert.deepEqual(await there(), [other.id]);
    assert.match(await node.ovs.vsctl('list-ports', 'br0'), /^theirs$/m);
    await node.ovs.vsctl('del-port', 'theirs');
    await clean();
  });

  for (const [title, key] of [
    ['absent', {}],
    ['null', { 'cni.dev/valid-attachments': null }],
    ['not a list', { 'cni.dev/valid-attachments': 'none' }],
    ['a list of something else', { 'cni.dev/valid-attachments': [{ containerID: 'x' }] }],
  ] as const) {
    it(`GC takes away only what is proven dead when the list is ${title}`, async () => {
      await using dying = await node.pod();
      const living = await attach('tenant-a');
      await attach('tenant-a', dying.path);
      await dying[Symbol.asyncDispose]();
      // The kernel destroys a namespace while nobody waits for it.
      await until(async () => (await links()).length === 1, 'the veth of the dead pod is gone');
      await accepted(call('GC', { ...config(), ...key }));
      assert.deepEqual(await there(), [living.id]);
      await clean();
    });
  }

  it('GC asks IPAM to collect with the whole configuration, and tells its refusal when all else is done', async () => {
    const script = `cat > ${node.dir}/gc-stdin; echo '{"code":77,"msg":"the disk is full"}'; exit 1`;
    await writeIpam(node, 'collector', `[ $CNI_COMMAND = GC ] || exit 0; ${script}`);
    await attach('tenant-a');
    const asked = { ...config({ ipam: { type: 'collector' } }), ...valid() };
    await refused(call('GC', asked), 77, /the disk is full/);
    assert.deepEqual(JSON.parse(await readFile(join(node.dir, 'gc-stdin'), 'utf8')), asked);
    assert.deepEqual(await node.leftovers(), []);
  });

  it('GC without OVSDB says so, and clears the rest when OVSDB is back', async () => {
    await attach('tenant-a');
    await node.ovs.ovsdb.stop();
    await refused(call('GC', { ...config(), ...valid() }), 11, /db\.sock/);
    await node.ovs.ovsdb.start();
    await clean();
  });

  it('STATUS is well when an ADD could succeed, and says on stderr that no API server is configured', async () => {
    // An earlier test stopped OVSDB, and ovs-vswitchd takes its time to connect again.
    await until(async () => (await call('STATUS', config())).exit === 0, 'STATUS is well');
    const { text, stderr } = await accepted(call('STATUS', config()));
    assert.equal(text, '');
    assert.match(stderr, /no API server is configured on node .*: annotations of pods are not read/);
  });

  it('STATUS is 50 without OVSDB or without the bridge', async () => {
    await refused(call('STATUS', config({ bridge: 'br9' })), 50, /there is no bridge "br9"/);
    await node.ovs.ovsdb.stop();
    await refused(call('STATUS', config()), 50, /db\.sock/);
    await node.ovs.ovsdb.start();
    await until(async () => (await call('STATUS', config())).exit === 0, 'STATUS is well again');
  });

  it('STATUS is 51 without ovs-vswitchd', async () => {
    await node.ovs.stopVswitchd();
    await refused(call('STATUS', config()), 51, /ovs-vswitchd is not running on .*; start openvswitch-switch/);
    await node.ovs.startVswitchd();
    await accepted(call('STATUS', config()));
  });

  it("STATUS gives the IPAM plugin's own answer, and forgives one that does not know the command", async () => {
    await writeIpam(node, 'empty', `echo '{"code":50,"msg":"no address is free"}'; exit 1`);
    await refused(call('STATUS', config({ ipam: { type: 'empty' } })), 50, /empty: no address is free/);
    await writeIpam(node, 'older', `echo '{"code":4,"msg":"unknown CNI_COMMAND: STATUS"}'; exit 1`);
    await accepted(call('STATUS', config({ ipam: { type: 'older' } })));
  });

  it('STATUS is 50, and an ADD of a pod 11, when the API server that is configured does not answer', async () => {
    const [settings, kubeconfig] = [join(node.dir, 'with-api.yaml'), join(node.dir, 'kubeconfig')];
    await writeFile(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:9' } }],
        users: [{ name: 'u', user: {} }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    await writeFile(settings, `ovsdb: ${node.ovs.address}\nnodeName: n\nkubernetes: { kubeconfig: ${kubeconfig} }\n`);
    await node.server.stop();
    await node.startServer({ SMARTNIC_CONFIG: settings });
    await refused(call('STATUS', config()), 50, /http:\/\/127\.0\.0\.1:9/);
    const env = { CNI_CONTAINERID: containerId(), CNI_NETNS: pod.path, CNI_IFNAME: 'net0' };
    const ofPod = { ...env, CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p' };
    await refused(call('ADD', config(), ofPod), 11, /pod default\/p can't be read from http:\/\/127\.0\.0\.1:9/);
    assert.deepEqual(await node.leftovers(), []);
    await accepted(call('DEL', config(), ofPod));
    await node.server.stop();
    await node.startServer();
  });

  it('CHECK demands prevResult, holds right after ADD, and tells what is only down from what is broken', async () => {
    const env = { CNI_CONTAINERID: containerId(), CNI_NETNS: pod.path, CNI_IFNAME: 'net0' };
    const { json: prevResult } = await accepted(call('ADD', config(), env));
    assert.equal((await accepted(call('CHECK', config({ prevResult }), env))).text, '');
    await refused(call('CHECK', config(), env), 7, /prevResult: is missing/);
    await node.ovs.ovsdb.stop();
    await refused(call('CHECK', config({ prevResult }), env), 11, /db\.sock/);
    await node.ovs.ovsdb.start();
    await accepted(call('DEL', config({ prevResult }), env));
    await refused(call('CHECK', config({ prevResult }), env), 102, /net0 of container .* is not attached to network tenant-a/);
  });

  it('an interface that is there already stays as it is, and DEL succeeds over and over, also with nothing left to see', async () => {
    const env = { CNI_CONTAINERID: containerId(), CNI_NETNS: pod.path, CNI_IFNAME: 'lo' };
    await refused(call('ADD', config(), env), 100, /lo/);
    await accepted(call('DEL', config(), env));
    assert.equal(((await pod.ip('link', 'show')) as readonly unknown[]).length, 1);
    const gone = { CNI_CONTAINERID: containerId(), CNI_IFNAME: 'net0' };
    for (const CNI_NETNS of ['', '/run/netns/sn-never-made', pod.path]) {
      for (const prevResult of [undefined, {}]) await accepted(call('DEL', config({ prevResult }), { ...gone, CNI_NETNS }));
    }
    assert.deepEqual(await node.leftovers(), []);
  });
});
