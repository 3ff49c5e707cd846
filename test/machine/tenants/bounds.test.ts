// The author of a network who asks for more than the node's configuration allows the namespace.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { succeeded } from '../../support/answers.ts';
import { attach } from '../../support/attached.ts';
import { cleanNode } from '../../support/clean-node.ts';
import { containerId, network, type TestNode } from '../../support/node.ts';
import { until } from '../../support/until.ts';

const settings = `bounds:
  - namespaces: [tenant-a, "team-*"]
    bridges: [br0, "br-a*"]
    vlans: [100, "200-299"]
    untagged: false
    trunks: [200-210]
    ipam: [host-local]
    mtu: { max: 1500 }
    externalIds: [tenant, "app-*"]
  - namespaces: ["*"]
    bridges: ["*"]
    trunks: all
    createBridge: true
    mac: true
`;

const of = (namespace: string) => ({ args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=web;K8S_POD_UID=u` });
const ruleA = String.raw`is not allowed for pods of namespace "team-7" by rule bounds\.0 \(for tenant-a, team-\*\) of the node's configuration, which allows`;

describe('a network beyond the bounds of the node', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({ settings }, (given) => {
    ({ node, undo } = given);
  });

  const add = async (config: object, namespace: string) => {
    await using pod = await node.pod();
    const call = { containerId: containerId(), netns: pod.path, config, ...of(namespace) };
    const answer = await node.cni('ADD', call);
    if (answer.exit === 0) await node.cni('DEL', call);
    return answer;
  };

  const beyond: readonly (readonly [object, string])[] = [
    [{ bridge: 'br-int' }, String.raw`^bridge: "br-int" ${ruleA} br0, br-a\*$`],
    [{ vlan: 300 }, `^vlan: 300 ${ruleA} 100, 200-299$`],
    [{ vlan: undefined }, `^vlan: undefined ${ruleA} no untagged network, but 100, 200-299$`],
    [{ trunk: 'all' }, `^trunk: "all" ${ruleA} 200-210$`],
    [{ trunk: [{ minID: 205, maxID: 211 }] }, `^trunk: .* ${ruleA} 200-210$`],
    [{ ovsdb: 'tcp:192.0.2.1:6640' }, `^ovsdb: "tcp:192.0.2.1:6640" ${ruleA} unix:`],
    [{ ovsdb: 'unix:/run/smartnic/vhost/0000:41:10.0/db.sock' }, `^ovsdb: "unix:/run/smartnic/vhost/.*" ${ruleA} unix:`],
    [{ ipam: { type: 'static' } }, `^ipam.type: "static" ${ruleA} host-local$`],
    [{ mtu: 9000 }, `^mtu: 9000 ${ruleA} 68 to 1500$`],
    [{ createBridge: true }, `^createBridge: true ${ruleA} only false$`],
    [{ trust: true }, `^trust: true ${ruleA} only false$`],
    [{ spoofchk: false }, `^spoofchk: false ${ruleA} only true$`],
    [{ mac: '02:00:00:00:00:01' }, `^mac: "02:00:00:00:00:01" ${ruleA} no network to name a MAC$`],
    [{ allowPodMac: true }, `^allowPodMac: true ${ruleA} only false$`],
    [{ externalIds: { 'neutron:x': '1' } }, String.raw`^externalIds: "neutron:x" ${ruleA} tenant, app-\*$`],
    [{ ipam: { type: 'smartnic' } }, '^ipam.type: "smartnic" is smartnic itself'],
    // Too large: the first ended the server at the 38th pod, the second blocked it for 8 s.
    [{ externalIds: { tenant: 'x'.repeat(1_400_000) } }, 'externalIds.tenant: "x+… is longer than 256 characters$'],
    [{ trunk: Array.from({ length: 60_000 }, (_, n) => ({ id: n % 4000 })) }, '^trunk: .* has more than 128 entries$'],
  ];
  for (const [more, sentence] of beyond) {
    it(`is refused, and nothing is left: ${JSON.stringify(more).slice(0, 60)}`, async () => {
      const { json } = await add(network(node, { vlan: 100, ...more }), 'team-7');
      assert.equal(json.code, 7, JSON.stringify(json));
      assert.match(json.msg, new RegExp(sentence));
      assert.deepEqual(await node.leftovers(), []);
    });
  }

  it('is plugged within them, and by the last rule where no other names the namespace', async () => {
    const within = { vlan: 250, mtu: 1400, externalIds: { 'app-x': '1' }, trunk: [{ minID: 200, maxID: 210 }] };
    succeeded(await undo.use(await attach(node, network(node, within), of('team-7'))).check());
    undo.use(await attach(node, network(node, { trunk: 'all', mac: '02:00:00:00:00:01' }), of('elsewhere')));
    undo.use(await attach(node, network(node)));
  });

  it('is bound anew without a restart when the configuration changes, and GC and DEL go on for what is plugged', async () => {
    const file = join(node.dir, 'config.yaml');
    const before = await readFile(file, 'utf8');
    undo.defer(async () => {
      await writeFile(file, before);
      await until(async () => (await add(network(node, { vlan: 300 }), 'team-7')).json.code === 7, 'the old rules are back');
    });
    const plugged = undo.use(await attach(node, network(node), of('elsewhere')));
    await writeFile(file, before.replace(/bounds:[\s\S]*/, 'bounds: [{ namespaces: [tenant-a], bridges: [br0] }]\n'));
    const refused = /^bounds: no rule of the node's configuration is for namespace "elsewhere"/;
    await until(async () => refused.test((await add(network(node), 'elsewhere')).json.msg ?? ''), 'the new rules hold');
    succeeded(await plugged.del());
  });
});

describe('a network on a node without bounds', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  it('may name everything but another database', async () => {
    undo.use(await attach(node, network(node, { ovsdb: node.ovs.address, vlan: 7, externalIds: { a: 'b' } })));
    await using pod = await node.pod();
    for (const ovsdb of ['tcp:127.0.0.1:6640', 'unix:/tmp/mine.sock']) {
      const { json } = await node.cni('ADD', { containerId: containerId(), netns: pod.path, config: network(node, { ovsdb }) });
      assert.equal(json.code, 7);
      assert.match(
        json.msg,
        /^ovsdb: ".*" is not the database of this node, unix:.*; leave it out, or allow it by a rule in "bounds"/,
      );
    }
  });
});
