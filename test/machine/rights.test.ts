// The CNI server with exactly the rights that deploy/ gives it: what it can do with them, and what each right is for.
import assert from 'node:assert/strict';
import { chmod, chown } from 'node:fs/promises';
import { run } from '../../tools/program.ts';
import { capabilities } from '../support/as-shipped.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { skipWithoutOvs } from '../support/ovs.ts';

/** ADD, CHECK and DEL of one pod; what each answered, in words. */
async function roundOf(node: TestNode): Promise<readonly string[]> {
  await using pod = await node.pod();
  const call = { containerId: containerId(), netns: pod.path, config: network(node, { cniVersion: '1.1.0' }) };
  const said: string[] = [];
  const added = await node.cni('ADD', call);
  said.push(added.exit === 0 ? 'added' : added.json.msg);
  if (added.exit === 0) {
    const checked = await node.cni('CHECK', { ...call, config: { ...call.config, prevResult: added.json } });
    said.push(checked.exit === 0 ? 'checked' : checked.json.msg);
  }
  const deleted = await node.cni('DEL', call);
  said.push(deleted.exit === 0 ? 'deleted' : deleted.json.msg);
  return [...said, ...(await node.leftovers())];
}

describe("the CNI server's rights", () => {
  before(function () {
    skipWithoutOvs.call(this);
  });

  it(`are enough: ${capabilities.join(', ')}`, async () => {
    await using node = await nodeWith(capabilities);
    assert.deepEqual(await roundOf(node), ['added', 'checked', 'deleted']);
  });

  for (const right of capabilities)
    it(`are not enough without ${right}`, async () => {
      await using node = await nodeWith(capabilities.filter((each) => each !== right));
      const [first = ''] = await roundOf(node);
      assert.match(first, /EPERM|EACCES|permitted|denied/i);
    });
});

describe('IPv6 where /proc/sys is read-only', function () {
  this.timeout(30_000);
  before(function () {
    skipWithoutOvs.call(this);
  });
  const off = ['-c', 'for each in all default; do echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done'];

  /** An ADD in a pod where IPv6 is on or off: what it said. */
  async function add(node: TestNode, subnet: string, ipv6: 'on' | 'off'): Promise<string> {
    await using pod = await node.pod();
    if (ipv6 === 'off') await run('ip', ['netns', 'exec', pod.name, 'sh', ...off]);
    const call = { containerId: containerId(), netns: pod.path, config: network(node, {}, [subnet]) };
    const { exit, json } = await node.cni('ADD', call);
    await node.cni('DEL', call);
    return exit === 0 ? 'added' : json.msg;
  }

  it('is not written where it is on already, and not touched for IPv4', async () => {
    await using node = await startNode({ shippedAs: { procSysNet: false } });
    assert.equal(await add(node, 'fd00:77::/64', 'on'), 'added');
    assert.equal(await add(node, '10.77.0.0/16', 'off'), 'added');
  });

  it("is switched on through the node's /proc/sys/net, and an error says where that is not mounted", async () => {
    await using node = await startNode();
    assert.equal(await add(node, 'fd00:77::/64', 'off'), 'added');
    await using other = await startNode({ shippedAs: { procSysNet: false } });
    assert.match(
      await add(other, 'fd00:77::/64', 'off'),
      /it is mounted read-only here, .*; mount the node's \/proc\/sys\/net at \/mnt/,
    );
  });
});

/** Open vSwitch's socket belongs to another user, as where it does not run as root. */
async function nodeWith(rights: readonly string[]): Promise<TestNode> {
  const node = await startNode({ server: false, shippedAs: { rights } });
  const socket = node.ovs.address.replace('unix:', '');
  await chown(socket, 65_534, 65_534);
  await chmod(socket, 0o700);
  await node.startServer();
  return node;
}
