// Attachments made side by side, made twice, in conflict with each other, and removed in every way that a runtime or an admin can think of.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { codes } from '../../cni/protocol/errors.ts';
import { run } from '../../tools/program.ts';
import { refused, succeeded } from '../support/answers.ts';
import { type Attached, type AttachOptions, attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { writeIpam } from '../support/crash.ts';
import { type CniAnswer, containerId, network, type TestNode } from '../support/node.ts';
import { pings } from '../support/traffic.ts';

describe('attachments', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  const plug = async (config: object = network(node), options: AttachOptions = {}) =>
    undo.use(await attach(node, config, options));

  it('gives one pod several interfaces on several networks, each of which goes alone', async () => {
    const [tenantA, tenantB] = [network(node), network(node, { name: 'tenant-b', vlan: 9 }, ['10.88.0.0/16'])];
    const pod = undo.use(await node.pod());
    const same = { in: pod, containerId: containerId() };
    const [eth0, net1, net2] = [
      await plug(tenantA, same),
      await plug(tenantA, { ...same, ifname: 'net1' }),
      await plug(tenantB, { ...same, ifname: 'net2' }),
    ];
    const peer = await plug(tenantB);
    assert.equal(new Set([eth0, net1, net2].flatMap(({ port, mac, ip }) => [port, mac, ip])).size, 9);
    succeeded(await net1.del());
    for (const each of [eth0, net2]) succeeded(await each.check());
    assert.ok(await pings(pod, peer.ip));
    assert.equal((await net1.check()).json.code, codes.broken);
  });

  it('keeps attachments apart whose names only differ in where one name ends', async () => {
    const [short, long] = [
      await plug(network(node, { name: 'a' }), { ifname: 'net1' }),
      await plug(network(node, { name: 'a' }), { ifname: 'net10' }),
    ];
    succeeded(await short.del());
    succeeded(await long.check());
  });

  it('answers 30 ADDs at once and 30 DELs at once', async () => {
    const all = await Promise.all(Array.from({ length: 30 }, () => plug()));
    assert.equal(new Set(all.map(({ ip }) => ip)).size, 30);
    assert.equal((await node.ovs.vsctl('list-ports', 'br0')).split('\n').length, 30);
    const [first, last] = [all[0], all[29]];
    assert.ok(first !== undefined && last !== undefined && (await pings(first.pod, last.ip)));
    const checks = await Promise.all(all.map((each) => each.check()));
    checks.forEach(succeeded);
    const dels = await Promise.all(all.map((each) => each.del()));
    dels.forEach(succeeded);
    assert.deepEqual(await node.leftovers(), []);
  });

  it('refuses the second ADD of an attachment and leaves the first one working', async () => {
    const [a, peer] = [await plug(), await plug()];
    const again = await node.cni('ADD', a.call);
    refused(again, codes.plugFailed, /eth0 of container \S+ is attached to network tenant-a already, since .*DEL it first/);
    succeeded(await a.check());
    assert.ok(await pings(peer.pod, a.ip));
  });

  it('answers one of eight ADDs at once and refuses the others, without harm to it', async () => {
    const pod = undo.use(await node.pod());
    const call = { containerId: containerId(), netns: pod.path, config: network(node) };
    const answers = await Promise.all(Array.from({ length: 8 }, () => node.cni('ADD', call)));
    const [made, ...more] = answers.filter(({ exit }) => exit === 0);
    assert.ok(made !== undefined && more.length === 0);
    succeeded(await node.cni('CHECK', { ...call, config: network(node, { prevResult: made.json }) }));
    succeeded(await node.cni('DEL', call));
  });

  it('does an ADD and a DEL of one interface one after the other, in whatever order they come', async () => {
    const pod = undo.use(await node.pod());
    const call = { containerId: containerId(), netns: pod.path, config: network(node) };
    const commands = ['ADD', 'DEL', 'ADD', 'DEL', 'ADD', 'DEL'];
    const answers = await Promise.all(commands.map((command) => node.cni(command, call)));
    for (const [index, answer] of answers.entries()) {
      if (answer.exit !== 0) refused(answer, codes.plugFailed, /is attached to network tenant-a already/);
      assert.ok(answer.exit === 0 || commands[index] === 'ADD');
    }
    succeeded(await node.cni('DEL', call));
    assert.deepEqual(await node.leftovers(), []);
  });

  it('refuses a name that the pod has already, and leaves that interface as it was', async () => {
    const pod = undo.use(await node.pod());
    await pod.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other');
    await pod.ip('address', 'add', '192.0.2.7/24', 'dev', 'eth0');
    const before = await pod.ip('address', 'show');
    const call = { containerId: containerId(), netns: pod.path, config: network(node) };
    refused(await node.cni('ADD', call), codes.plugFailed, new RegExp(`there is already a link "eth0" in ${pod.path}`));
    assert.deepEqual(await node.leftovers(), []);
    succeeded(await node.cni('DEL', call));
    assert.deepEqual(await pod.ip('address', 'show'), before);
  });

  it('refuses a name that another network took in the same pod, and leaves that one working', async () => {
    const [a, peer] = [await plug(), await plug()];
    const call = { ...a.call, config: network(node, { name: 'tenant-b' }) };
    refused(await node.cni('ADD', call), codes.plugFailed, /there is already a link "eth0"/);
    succeeded(await node.cni('DEL', call));
    succeeded(await a.check());
    assert.ok(await pings(peer.pod, a.ip));
  });

  for (const length of [160, 253])
    it(`takes a network's name of ${length} letters with the real kernel, in the veth's alias too`, async () => {
      const name = 'n'.repeat(length);
      const a = await plug(network(node, { name }), { ifname: 'net1' });
      succeeded(await a.check());
      const { stdout } = await run('ip', ['-n', node.ovs.netns, '-json', 'link', 'show', 'dev', a.port]);
      const alias = JSON.parse(stdout)[0].ifalias;
      assert.match(alias, new RegExp(`^smartnic nnn.* ${a.call.containerId} net1$`));
      succeeded(await a.del());
      assert.deepEqual(await node.leftovers(), []);
    });

  describe('a second sandbox of one pod on a real Open vSwitch, before the DEL of the first', () => {
    const podArgs = (uid: string) => `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db-0;K8S_POD_UID=${uid}`;
    const plugPod = (uid: string, config?: object) => plug(config, { ifname: 'net1', args: podArgs(uid) });
    const holders = async () =>
      (await node.ovs.vsctl('--bare', '--columns=name', 'find', 'Interface', 'external_ids:iface-id=shop_db-0_net1'))
        .split('\n')
        .filter((name) => name !== '');
    const status = (port: string) => node.ovs.vsctl('get', 'Interface', port, 'external_ids:iface-status');

    for (const [what, uid] of [
      ['of the same pod', 'u1'],
      ["of a StatefulSet's next pod of that name", 'u2'],
    ] as const)
      it(`${what} has the iface-id alone, and keeps it when the late DEL comes`, async () => {
        const [first, second] = [await plugPod('u1'), await plugPod(uid)];
        assert.deepEqual(await holders(), [second.port]);
        assert.deepEqual([await status(first.port), await status(second.port)], ['inactive', 'active']);
        succeeded(await first.del());
        assert.deepEqual(await holders(), [second.port]);
        succeeded(await second.check());
      });

    it('gives the iface-id back to the newest of the former ones when its ADD fails', async () => {
      const [, second] = [await plugPod('u1'), await plugPod('u1')];
      await writeIpam(node, 'refusing', 'sleep 0.3; if [ "$CNI_COMMAND" = ADD ]; then echo full >&2; exit 1; fi');
      await assert.rejects(plugPod('u1', network(node, { ipam: { type: 'refusing' } })), /refusing/);
      assert.deepEqual(await holders(), [second.port]);
      assert.equal(await status(second.port), 'active');
      succeeded(await second.check());
    });

    it('does not give it back after an ADD that worked, because the pod may be elsewhere by then', async () => {
      const [first, second] = [await plugPod('u1'), await plugPod('u2')];
      succeeded(await second.del());
      assert.deepEqual(await holders(), []);
      succeeded(await first.del());
    });

    it('leaves a port of somebody else that has the iface-id as it is', async () => {
      await run('ip', ['-n', node.ovs.netns, 'link', 'add', 'foreign', 'type', 'veth', 'peer', 'name', 'foreign-b']);
      undo.defer(async () => {
        await node.ovs.vsctl('--if-exists', 'del-port', 'foreign');
        await run('ip', ['-n', node.ovs.netns, 'link', 'delete', 'foreign']);
      });
      const set = ['--', 'set', 'Interface', 'foreign', 'external_ids:iface-id=shop_db-0_net1'];
      await node.ovs.vsctl('add-port', 'br0', 'foreign', ...set);
      const { port } = await plugPod('u1');
      assert.deepEqual((await holders()).toSorted(), ['foreign', port].toSorted());
    });
  });

  describe('DEL', () => {
    const ways: Readonly<Record<string, (attached: Attached) => Promise<CniAnswer>>> = {
      'without a namespace': (a) => a.del({ netns: '' }),
      'with the namespace deleted': async (a) => {
        await a.pod[Symbol.asyncDispose]();
        return await a.del();
      },
      'with the namespace deleted and not named': async (a) => {
        await a.pod[Symbol.asyncDispose]();
        return await a.del({ netns: '' });
      },
      'with the journal lost': async (a) => {
        await loseJournal();
        return await a.del();
      },
      'with the journal lost and the namespace deleted': async (a) => {
        await loseJournal();
        await a.pod[Symbol.asyncDispose]();
        return await a.del({ netns: '' });
      },
      'with an unknown key in the configuration': (a) => a.del({ config: { ...network(node), bandwith: 5 } }),
      'with the bridge missing from the configuration': (a) => a.del({ config: { ...network(node), bridge: undefined } }),
      'with wrong types all over the configuration': (a) =>
        a.del({
          config: { ...network(node), bridge: 7, vlan: 'x', mtu: [], mac: 1, ovsdb: 'gopher:', trunk: {}, externalIds: 3 },
        }),
      'with IPAM gone from the configuration': (a) => a.del({ config: { ...network(node), ipam: undefined } }),
      'with an unknown pod argument': (a) => a.del({ args: 'IgnoreUnknown=1;K8S_POD_NAME=x;OTHER=y' }),
      'with the result of ADD': (a) => a.del({ config: { ...network(node), prevResult: a.result } }),
      'with an empty result': (a) => a.del({ config: { ...network(node), prevResult: {} } }),
      'with a result that is none': (a) => a.del({ config: { ...network(node), prevResult: { ips: 'none' } } }),
      'with the interface deleted in the pod': async (a) => {
        await a.pod.ip('link', 'delete', 'dev', 'eth0');
        return await a.del();
      },
      'with the port taken out by hand': async (a) => {
        await node.ovs.vsctl('del-port', a.port);
        return await a.del();
      },
      'with the port on another bridge': async (a) => {
        await node.ovs.addBridge('br1');
        undo.defer(() => removeBridge('br1'));
        await move(a.port, 'br1');
        return await a.del();
      },
      'with the bridge deleted': async (a) => {
        await node.ovs.vsctl('del-br', 'br0');
        undo.defer(() => node.ovs.addBridge('br0'));
        return await a.del();
      },
    };

    for (const [how, remove] of Object.entries(ways)) {
      it(`takes everything away ${how}, and is fine the second time`, async () => {
        const a = await plug();
        succeeded(await remove(a));
        assert.deepEqual(await node.leftovers(), []);
        succeeded(await a.del());
      });
    }

    it('is fine before any ADD', async () => {
      succeeded(await node.cni('DEL', { containerId: containerId(), config: network(node) }));
    });

    it('is fine after a failed ADD', async () => {
      const pod = undo.use(await node.pod());
      const call = { containerId: containerId(), netns: pod.path, config: network(node, { bridge: 'br-none' }) };
      refused(await node.cni('ADD', call), codes.invalidConfig, /there is no bridge "br-none".*ovs-vsctl add-br br-none/);
      succeeded(await node.cni('DEL', call));
    });

    it('leaves the ports of others alone, also such that look like ours', async () => {
      const a = await plug();
      await run('ip', ['-n', node.ovs.netns, 'link', 'add', 'sn-foreign', 'type', 'veth', 'peer', 'name', 'foreign-b']);
      undo.defer(async () => {
        await node.ovs.vsctl('--if-exists', 'del-port', 'sn-foreign');
        await run('ip', ['-n', node.ovs.netns, 'link', 'delete', 'sn-foreign']);
      });
      const ids = [
        `external_ids:smartnic-container=${a.call.containerId}`,
        'external_ids:smartnic-ifname=eth0',
        'external_ids:smartnic-network=tenant-a',
      ];
      await node.ovs.vsctl(
        'add-port',
        'br0',
        'sn-foreign',
        '--',
        'set',
        'Interface',
        'sn-foreign',
        'external_ids:owner=other',
        ...ids,
      );
      await loseJournal();
      succeeded(await a.del());
      assert.equal(await node.ovs.vsctl('list-ports', 'br0'), 'sn-foreign');
    });
  });

  async function loseJournal(): Promise<void> {
    for (const name of await node.journal()) await rm(join(node.stateDir, 'attachments', name));
  }

  async function removeBridge(name: string): Promise<void> {
    await node.ovs.vsctl('del-br', name);
  }

  async function move(port: string, bridge: string): Promise<void> {
    const ids = await node.ovs.vsctl('get', 'Interface', port, 'external_ids');
    await node.ovs.vsctl('del-port', port);
    await node.ovs.vsctl('add-port', bridge, port, '--', 'set', 'Interface', port, `external_ids=${ids}`);
  }
});
