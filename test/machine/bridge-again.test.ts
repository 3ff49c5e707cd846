// A bridge that is deleted and made again, as an agent or a person may do, gets its pods' ports back, and the pods need not be told.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSettings } from '../../cni/attachment/settings.ts';
import { repair } from '../../operator/repair.ts';
import { run } from '../../tools/program.ts';
import { succeeded } from '../support/answers.ts';
import { type Attached, type AttachOptions, attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { network, type TestNode } from '../support/node.ts';
import { pings } from '../support/traffic.ts';
import { until } from '../support/until.ts';

const podArgs = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=0b2c';

describe('a bridge that is made again', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  const plug = async (more: object = {}, options: AttachOptions = {}) =>
    undo.use(await attach(node, network(node, more), options));
  const { vsctl, addBridge } = {
    vsctl: (...args: readonly string[]) => node.ovs.vsctl(...args),
    addBridge: () => node.ovs.addBridge('br0'),
  };
  const bridgeAgain = async () => {
    await vsctl('del-br', 'br0');
    await addBridge();
  };
  /** All that we write on a port. */
  const written = async ({ port }: Attached) =>
    await Promise.all([
      vsctl('get', 'Interface', port, 'external_ids'),
      vsctl('get', 'Interface', port, 'type'),
      vsctl('get', 'Port', port, 'tag', 'trunks', 'vlan_mode'),
    ]);
  const ports = async () => (await vsctl('list-ports', 'br0')).split('\n').filter((name) => name.startsWith('sn'));
  const back = async (count: number) => await until(async () => (await ports()).length === count, 'the ports are back', 20);
  const entryOf = ({ port }: Attached) => join(node.stateDir, 'attachments', `${port.slice(2)}.jsonl`);

  it('has all ports back at once, with their VLANs and external_ids, and pods reach each other', async () => {
    const all = [
      await plug({ externalIds: { tenant: 'a' } }, { args: podArgs, ifname: 'net1' }),
      await plug({ vlan: 7, mtu: 1400 }),
      await plug({ vlan: 7, mtu: 1400 }),
      await plug({ trunk: [{ id: 5 }, { minID: 100, maxID: 199 }] }),
      await plug({ vlan: 9, trunk: [{ minID: 1, maxID: 4094 }] }),
    ];
    const [, one, two] = all;
    assert.ok(one !== undefined && two !== undefined);
    const before = await Promise.all(all.map(written));
    await bridgeAgain();
    await back(all.length);
    assert.deepEqual(await Promise.all(all.map(written)), before);
    for (const each of all) await until(async () => (await each.check()).exit === 0, 'CHECK passes');
    assert.ok(await pings(one.pod, two.ip));
    for (const each of all) succeeded(await each.del());
    assert.deepEqual(await node.leftovers(), []);
  });

  it("has two sandboxes of one pod back with the iface-id at the newer one's port, as it was", async () => {
    const [older, newer] = [await plug({}, { args: podArgs }), await plug({}, { args: podArgs })];
    const before = [await written(older), await written(newer)];
    assert.match(`${before[0]}`, /iface-status=inactive/);
    assert.match(`${before[1]}`, /iface-id=shop_web-0_eth0, iface-id-ver/);
    await bridgeAgain();
    await back(2);
    assert.deepEqual([await written(older), await written(newer)], before);
  });

  it('has its ports back from the first sweep, when it was made again while our server was down', async () => {
    const a = await plug({ vlan: 7 });
    const before = await written(a);
    await node.server.stop();
    await bridgeAgain();
    await (await node.startServer()).swept();
    assert.deepEqual(await written(a), before);
    succeeded(await a.check());
  });

  it('has a port back that somebody removed by itself, from the next sweep, which says so beforehand', async () => {
    const a = await plug();
    await vsctl('del-port', a.port);
    const settings = { ...parseSettings('', 'f'), nodeName: 'n', socket: node.socket };
    assert.match(await repair(settings, true), new RegExp(`would put back .* ${a.port} +its port was gone from bridge br0`));
    assert.deepEqual(await ports(), []);
    assert.match(await node.sweep(), new RegExp(`put back .* ${a.port} +its port was gone from bridge br0`));
    assert.deepEqual(await ports(), [a.port]);
    assert.equal(await node.sweep(), 'nothing is left over\n');
  });

  it('has no port of a pod that is gone, and none while it is away', async () => {
    const a = await plug();
    const pod = await node.pod();
    const gone = await plug({}, { in: pod });
    await vsctl('del-br', 'br0');
    assert.equal(await node.sweep(), 'nothing is left over\n');
    await pod[Symbol.asyncDispose]();
    await until(async () => !(await node.leftovers()).includes(`link ${gone.port}`), 'the cable goes with its pod');
    await addBridge();
    await back(1);
    assert.deepEqual(await ports(), [a.port]);
  });

  it('waits for the datapath that the ports were made for, and says so', async () => {
    const a = await plug();
    await vsctl('del-br', 'br0');
    await vsctl('--no-wait', 'add-br', 'br0');
    const problem =
      /! eth0 of container \w+: its port sn\w+ is gone from bridge br0, and it was made for datapath_type netdev, but the bridge has system now/;
    assert.match(await node.sweep(), problem);
    assert.deepEqual(await ports(), []);
    await vsctl('set', 'Bridge', 'br0', 'datapath_type=netdev', 'fail-mode=standalone');
    await run('ip', ['-n', node.ovs.netns, 'link', 'set', 'dev', 'br0', 'up']);
    await back(1);
    await until(async () => (await a.check()).exit === 0, 'CHECK passes');
  });

  it('is told that an entry of an older smartnic does not say how to make its port, which DEL takes away all the same', async () => {
    const a = await plug();
    const text = await readFile(entryOf(a), 'utf8');
    const lines = text.split('\n').map((line) => (line.includes('"added"') ? withoutPort(line) : line));
    await writeFile(entryOf(a), lines.join('\n'));
    await bridgeAgain();
    assert.match(
      await node.sweep(),
      /! eth0 of container \w+: .*is of an older smartnic.*; delete the pod, so that it is plugged anew/,
    );
    assert.deepEqual(await ports(), []);
    assert.equal((await a.check()).exit, 1);
    succeeded(await a.del());
  });

  it('is told that somebody else has a port of that name', async () => {
    const a = await plug();
    await vsctl('del-port', a.port);
    await vsctl('add-port', 'br0', a.port);
    assert.match(
      await node.sweep(),
      new RegExp(`! eth0 of container \\w+: port ${a.port} of bridge br0: a port ${a.port} exists already`),
    );
    await vsctl('del-port', a.port);
    await node.sweep();
    succeeded(await a.check());
  });
});

function withoutPort(line: string): string {
  const { port, ...older } = JSON.parse(line);
  assert.ok(port !== undefined);
  return JSON.stringify(older);
}
