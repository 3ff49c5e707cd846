// `virtio-forwarder` on real VFs: a consumer in the pod, a dpdk-testpmd relay of our supervisor, the VF on the real vfio-pci, its PF on the bridge.
import assert from 'node:assert/strict';
import { refused, succeeded } from '../support/answers.ts';
import { type DirectMachine, endSharedMachine, type LabPod, sharedDirectMachine, virtio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';
import { type LabForwarder, ping, startForwarder, untilAnswered } from './forwarder.ts';
import { pfs } from './hardware.ts';
import { plugAllTypes, plugNeighbour, uplinks } from './three-types.ts';

describe('virtio-forwarder', () => {
  let machine: DirectMachine;
  let forwarder: LabForwarder;
  /** The calls for the further interfaces of pods that have several. */
  const further: LabPod['call'][] = [];
  const bridged: string[] = [];

  before(async function () {
    machine = await sharedDirectMachine.call(this);
    // For half a minute the VFs that an earlier file's pods had count as used. The pods here would get VFs of their PF.
    await machine.kubelet.untilOffered(virtio, 14);
    forwarder = await startForwarder(machine);
  });
  /** Kubelet ends the programs of a pod before its DEL. */
  const endConsumers = async () => await machine.lab.sh(`pkill -KILL -f '^dpdk-testpmd .*server=1' || true`);
  const { pods, pod, add, check, del, clean } = directPods(() => machine, {
    state: () => forwarder.left(),
    tidy: async () => {
      for (const call of further.splice(0)) await machine.node.cni('DEL', { ...call, netns: '' });
      await endConsumers();
      for (const pf of bridged.splice(0)) await offBridge(pf);
    },
  });

  const plugging = () => ({ machine, forwarder, pod });
  const neighbour = async (address: string, vlan: number) => await plugNeighbour(plugging(), address, vlan);
  const onBridge = async (...addresses: readonly string[]) => {
    for (const address of addresses) {
      bridged.push(address);
      await machine.node.vsctl('--may-exist', 'add-port', 'br0', await machine.pfNetdev(address));
    }
  };
  const offBridge = async (address: string) => {
    const pf = await machine.pfNetdev(address);
    await machine.node.vsctl('--if-exists', 'del-port', pf);
    await machine.lab.sh(`
      bridge fdb show dev ${pf} | grep '^.[26ae]:.* self permanent' | while read -r mac rest; do bridge fdb del $mac dev ${pf} self; done
    `);
  };

  it('relays between the bridge and the socket with the MAC and VLAN asked for, again after each kill, and ends with DEL', async () => {
    const { lab, node } = machine;
    const mac = '02:00:00:00:02:00';
    const one = await pod(virtio, { vlan: 100, mac });
    const [vf = ''] = one.vfs;
    assert.deepEqual(
      one.given.flatMap(({ devices }) => devices),
      [],
      "the vfio device is the forwarder's alone",
    );
    const pf = pfs.find(({ address }) => machine.vfs.some((each) => each.address === vf && each.pf === address));
    assert(pf);
    await onBridge(pf.address);
    const [near, far] = [await neighbour('10.9.0.1', 100), await neighbour('10.9.0.3', 200)];
    const result = await add(one);
    assert.deepEqual(result.interfaces, [
      { name: 'net1', mac, mtu: 1500, sandbox: one.netns, pciID: vf, socketPath: `/run/smartnic/vhost/${vf}/vhost.sock` },
    ]);
    assert.equal(await lab.sh(`basename $(readlink /sys/bus/pci/devices/${vf}/driver)`), 'vfio-pci');
    const consumer = await forwarder.consume(one, mac);
    const first = await untilAnswered(lab, near.netnsName, '10.9.0.2');
    const answers = await ping(lab, near.netnsName, '10.9.0.2', 30);
    assert.equal(await ping(lab, far.netnsName, '10.9.0.2', 3), 0, 'not from another VLAN');
    assert.match(await lab.sh('ovs-appctl fdb/show br0'), new RegExp(`^ *\\d+ +100 +${mac}`, 'm'));
    succeeded(await check(one, result));
    console.log(`      first answer after ${first} ms, then ${answers} of 30`);
    assert(answers >= 20);

    const relay = await forwarder.relays();
    await lab.sh(`kill -9 ${relay}`);
    console.log(`      relay killed: answers again after ${await untilAnswered(lab, near.netnsName, '10.9.0.2')} ms`);
    const successor = await forwarder.relays();
    assert.notEqual(successor, relay);
    await forwarder.kill();
    await node.restart('cni');
    assert(
      (await ping(lab, near.netnsName, '10.9.0.2', 10)) >= 7,
      'neither the supervisor nor the CNI server is in the way of frames',
    );
    await forwarder.start();
    await lab.sh(restartOvs);
    console.log(`      Open vSwitch restarted: answers again after ${await untilAnswered(lab, near.netnsName, '10.9.0.2')} ms`);
    assert.equal(await forwarder.relays(), successor);
    assert.equal(await lab.sh(`pgrep -f '^dpdk-testpmd .*server=1'`), consumer);
    succeeded(await check(one, result));
    await endConsumers();
    await del(one);
    assert.equal(await forwarder.relays(), '');
  });

  it('is on one bridge with the other two types, in pods of their own and in one pod that has all three', async () => {
    await onBridge(...uplinks);
    const { near, targets, more } = await plugAllTypes(plugging());
    further.push(...more);
    const figures: string[] = [];
    for (const { type, address } of targets) {
      await untilAnswered(machine.lab, near.netnsName, address);
      const answers = await ping(machine.lab, near.netnsName, address, 20);
      figures.push(`${type} ${answers}`);
      assert(answers >= 15, `of 20 echo requests to ${type} ${answers} were answered`);
    }
    console.log(
      `      of 20 echoes each, three pods: ${figures.slice(0, 3).join(', ')}; one pod: ${figures.slice(3).join(', ')}`,
    );
    await endConsumers();
    for (const call of more) succeeded(await machine.node.cni('DEL', call));
    for (const each of pods) await del(each);
    assert.equal(await forwarder.relays(), '');
  });

  it("passes the forwarder's refusal on, and nothing is left of the VF", async () => {
    const one = await pod(virtio);
    await machine.lab.sh('chmod -x /usr/bin/dpdk-testpmd');
    const answer = await machine.node.cni('ADD', one.call);
    await machine.lab.sh('chmod +x /usr/bin/dpdk-testpmd');
    refused(answer, 100, /^the forwarder did not attach: dpdk-testpmd between .* ended at once: .*Permission denied/);
    await clean();
  });

  it('goes with a DEL whose namespace is gone, and waits for a forwarder that is away, whose VF nobody else gets meanwhile', async () => {
    const [one, two] = [await pod(virtio), await pod(virtio)];
    await add(one);
    await add(two);
    await machine.lab.sh(`ip netns delete ${one.netnsName}`);
    succeeded(await machine.node.cni('DEL', { ...one.call, netns: '' }));
    await forwarder.kill();
    await del(two);
    assert.equal(await machine.lab.sh(`basename $(readlink /sys/bus/pci/devices/${two.vfs[0]}/driver)`), 'vfio-pci');
    await forwarder.start();
    await machine.node.restart('cni');
    await clean();
  });
});

after(endSharedMachine);

const restartOvs = `
  ovs-appctl -t ovs-vswitchd exit
  while [ -e /run/openvswitch/ovs-vswitchd.pid ]; do sleep 0.1; done
  ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --log-file --no-chdir
`;
