// Tenants on what only the virtual machine has: the kernel's datapath of Open vSwitch, and VFs. test/machine/tenants has the rest.
import assert from 'node:assert/strict';
import { type DirectMachine, endSharedMachine, sharedDirectMachine } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';

after(endSharedMachine);

describe('tenants of a node with the kernel’s datapath', () => {
  let machine: DirectMachine;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
  });
  const { pod, add } = directPods(() => machine);

  /** A pod of type normal, and its port. */
  const plug = async (address: string, config: object = {}) => {
    const ipam = { type: 'static', addresses: [{ address: `${address}/24` }] };
    const rest = { vnicType: 'normal', cniVersion: '1.0.0', ipam, representor: undefined, resource: undefined };
    const made = await pod([], { ...rest, ...config });
    const [port] = (await add(made)).interfaces;
    return { name: made.netnsName, port: `${port?.name}`, address };
  };
  const reaches = async (from: string, address: string) =>
    (await machine.lab.run(`ip netns exec ${from} ping -c 3 -i 0.3 -W 3 ${address}`)).exit === 0;

  it('reach no VLAN by tags that they make by hand, where their network names none', async () => {
    const { lab, node } = machine;
    await lab.sh('modprobe 8021q');
    const [one, inVlan, beside] = [await plug('10.3.0.1'), await plug('10.3.200.2', { vlan: 200 }), await plug('10.3.0.3')];
    await lab.sh(`
      ip -n ${one.name} link add link net1 name tagged type vlan id 200
      ip -n ${one.name} address add 10.3.200.1/24 dev tagged
      ip -n ${one.name} link set dev tagged up
    `);
    assert.ok(await reaches(one.name, beside.address));
    assert.ok(!(await reaches(one.name, inVlan.address)));
    // The same tags on a port as it was made before, and on one of a network with trunk: "all".
    await node.vsctl('clear', 'Port', one.port, 'vlan_mode');
    assert.ok(await reaches(one.name, inVlan.address), 'the frames are right');
    await node.vsctl('set', 'Port', one.port, 'vlan_mode=access');
    await lab.sh('ovs-appctl revalidator/wait');
    assert.ok(!(await reaches(one.name, inVlan.address)));
    const trunk = await plug('10.3.0.4', { trunk: 'all' });
    await lab.sh(`
      ip -n ${trunk.name} link add link net1 name tagged type vlan id 200
      ip -n ${trunk.name} address add 10.3.200.4/24 dev tagged
      ip -n ${trunk.name} link set dev tagged up
    `);
    assert.ok(await reaches(trunk.name, inVlan.address));
  });

  it('are in the VLAN that an agent writes into `tag`', async () => {
    const { lab, node } = machine;
    const [one, inVlan] = [await plug('10.3.0.1'), await plug('10.3.0.2', { vlan: 200 })];
    assert.ok(!(await reaches(one.name, inVlan.address)));
    await node.vsctl('set', 'Port', one.port, 'tag=200');
    await lab.sh('ovs-appctl revalidator/wait');
    assert.ok(await reaches(one.name, inVlan.address));
  });
});
