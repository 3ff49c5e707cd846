// `direct` on a NIC in switchdev mode: two PFs of one switch, whose representors our program finds by devlink and sysfs.
import assert from 'node:assert/strict';
import { succeeded } from '../support/answers.ts';
import { until } from '../support/until.ts';
import { type DirectMachine, endSharedMachine, kernel, sharedDirectMachine, vfio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';
import { putBehind, restartOvs, startSwitch, stopSwitch, switched } from './switch.ts';

after(endSharedMachine);

describe('direct on a switch with several PFs', () => {
  let machine: DirectMachine;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
    await startSwitch(machine.lab);
  });
  after(async () => {
    if (machine !== undefined) await stopSwitch(machine.lab);
  });
  const { pod, add, check, del, forget } = directPods(() => machine);
  const auto = { representor: 'auto' };
  const portName = async (netdev: string | undefined) => await machine.lab.sh(`cat /sys/class/net/${netdev}/phys_port_name`);

  it('has one switch id for all, which the device plugin sees, with mode and uplink', async () => {
    const { lab, node } = machine;
    const switches = await lab.sh(
      "cat /sys/class/net/*/phys_switch_id 2>/dev/null | sort | uniq -c | awk '{ print $1 }' | sort -n",
    );
    assert.equal(switches.split('\n').at(-1), '16', 'two uplinks and fourteen representors');
    for (const { address } of switched) {
      assert.match(await lab.sh(`devlink dev eswitch show pci/${address}`), / mode switchdev/);
      const vf = machine.vfs.find(({ pf, index }) => pf === address && index === 3)?.address ?? '';
      const said = await node.smartnic('explain', vf);
      assert.match(said, /switchdev/);
    }
  });

  it('makes the right representor a port of the bridge, up, with MTU, VLAN and metadata, for both PFs and drivers', async () => {
    const { lab, node } = machine;
    const config = { ...auto, mtu: 1400, vlan: 50 };
    const pods = [await pod(vfio, config), await pod(vfio, config), await pod(kernel, config), await pod(kernel, config)];
    const results = await Promise.all(pods.map(add));
    assert.deepEqual(await Promise.all(results.map(({ interfaces }) => portName(interfaces[0]?.name))), [
      ...['pf0vf0', 'pf0vf1', 'pf1vf0', 'pf1vf1'],
    ]);
    for (const [index, { interfaces }] of results.entries()) {
      const [port, inside] = [interfaces[0], interfaces[1]];
      assert.deepEqual([inside?.sandbox, inside?.pciID], [pods[index]?.netns, pods[index]?.vfs[0]]);
      assert.equal(
        await lab.sh(`cat /sys/class/net/${port?.name}/mtu; ip -br link show dev ${port?.name} | grep -o -w UP`),
        '1400\nUP',
      );
      const [bridge, tag, ids] = await Promise.all([
        node.vsctl('iface-to-br', `${port?.name}`),
        node.vsctl('get', 'Port', `${port?.name}`, 'tag'),
        node.vsctl('get', 'Interface', `${port?.name}`, 'external_ids:smartnic-pci', 'external_ids:attached-mac'),
      ]);
      assert.deepEqual([bridge, tag, ids], ['br0', '50', `"${inside?.pciID}"\n"${inside?.mac}"`]);
    }
    await Promise.all(pods.map(async (each, index) => succeeded(await check(each, results[index]))));
    await lab.sh(`ip link set dev ${results[0]?.interfaces[0]?.name} down`);
    assert.match((await check(pods[0] as (typeof pods)[0], results[0])).json.msg, /the representor \S+ is down/);
    await Promise.all(pods.map(del));
  });

  it('carries traffic between two PFs by flows that are offloaded, also after Open vSwitch was restarted', async () => {
    const { lab } = machine;
    const [one, two] = [await pod(vfio, auto), await pod(kernel, auto)];
    const [a, b] = [await add(one), await add(two)];
    const ports = [a, b].map(({ interfaces }) => `${interfaces[0]?.name}`);
    await putBehind(lab, `${ports[0]}`, one.netnsName, '10.2.0.1/24');
    await putBehind(lab, `${ports[1]}`, two.netnsName, '10.2.0.2/24');
    const traffic = `ip netns exec ${one.netnsName} ping -c 5 -i 0.3 -W 3 10.2.0.2; ovs-appctl dpctl/dump-flows --names type=offloaded`;
    const flows = async () => {
      const offloaded = await lab.sh(traffic);
      for (const port of ports) assert.match(offloaded, new RegExp(`in_port\\(${port}\\).*eth_type\\(0x0800\\).*actions:`));
    };
    await flows();
    await restartOvs(lab);
    await flows();
    succeeded(await check(one, a));
    succeeded(await check(two, b));
    for (const each of [one, two]) await del(each);
  });

  it('has its representors back as ports, with their metadata, when the bridge was deleted and made again', async () => {
    const { lab, node } = machine;
    const config = { ...auto, mtu: 1400, vlan: 50, externalIds: { tenant: 'a' } };
    const pods = [await pod(vfio, config), await pod(kernel, config)];
    const results = await Promise.all(pods.map(add));
    const ports = results.map(({ interfaces }) => `${interfaces[0]?.name}`);
    const written = async () =>
      await Promise.all(
        ports.map(async (port) => [
          await node.vsctl('get', 'Interface', port, 'external_ids'),
          await node.vsctl('get', 'Port', port, 'tag', 'vlan_mode'),
        ]),
      );
    const before = await written();
    await node.vsctl('del-br', 'br0');
    await node.vsctl('add-br', 'br0', '--', 'set', 'bridge', 'br0', 'fail_mode=standalone');
    await lab.sh('ip link set dev br0 up');
    const there = async () => (await node.vsctl('list-ports', 'br0')).split('\n');
    await until(async () => new Set(await there()).isSupersetOf(new Set(ports)), 'the ports are back', 30);
    assert.deepEqual(await written(), before);
    await Promise.all(pods.map(async (each, index) => succeeded(await check(each, results[index]))));
    await Promise.all(pods.map(del));
  });

  it('takes a representor that a hook names, and none where there is a switch is refused', async () => {
    const { lab, node } = machine;
    await lab.sh('cat >/etc/smartnic/hooks.d/20-pair; chmod +x /etc/smartnic/hooks.d/20-pair', { input: pairingHook });
    const one = await pod(vfio, { representor: 'hook' });
    const result = await add(one);
    assert.equal(await portName(result.interfaces[0]?.name), 'pf0vf6');
    await del(one);
    await lab.sh('rm /etc/smartnic/hooks.d/20-pair');
    const { json } = await node.cni('ADD', { ...one.call, config: { ...(one.call.config as object), representor: 'none' } });
    assert.match(json.msg, /is in switchdev mode, where a VF without its representor on a bridge reaches nobody/);
  });

  it('says which representors are missing when the PF left switchdev mode under a pod, and lets the pod go', async () => {
    const { lab } = machine;
    const one = await pod(vfio, auto);
    const result = await add(one);
    await lab.sh(`devlink dev eswitch set pci/${switched[0].address} mode legacy`);
    assert.match((await check(one, result)).json.msg, /the representor \S+ is gone|no port/);
    await del(one);
    await lab.sh(`devlink dev eswitch set pci/${switched[0].address} mode switchdev`);
    assert.equal(await lab.sh('ls /var/lib/smartnic/attachments'), '');
    await forget(); // these representors have other MACs
  });
});

/** Any but the one that would be found without it. */
const pairingHook = `#!/bin/sh
[ "$1" = representor ] || exit 0
cd /sys/class/net
grep -l pf0vf6 */phys_port_name 2>/dev/null | cut -d/ -f1
`;
