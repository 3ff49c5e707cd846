// `direct` on real VFs: igb's, bound to the real vfio-pci behind a real IOMMU, or with their netdevs in pods.
import assert from 'node:assert/strict';
import { succeeded } from '../support/answers.ts';
import { vnicContract } from '../support/vnic-contract.ts';
import { type DirectMachine, kernel, type LabPod, startDirectMachine, vfio } from './direct-machine.ts';
import { LabUnavailable } from './ensure.ts';
import { pfs } from './hardware.ts';
import { startSwitch } from './switch.ts';

describe('direct', function () {
  this.timeout(180_000);
  let machine: DirectMachine;
  let clean: string;
  const pods: LabPod[] = [];

  before(async function () {
    this.timeout(600_000);
    try {
      machine = await startDirectMachine();
    } catch (error) {
      if (!(error instanceof LabUnavailable)) throw error;
      console.log(`skipped: ${error.message}`);
      this.skip();
    }
  });
  after(async () => await machine?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    clean = await machine.state();
  });
  afterEach(async () => {
    for (const pod of pods.splice(0)) {
      await machine.node.cni('DEL', { ...pod.call, netns: '' });
      await machine.end(pod);
    }
    assert.equal(await machine.state(), clean, 'the machine is as it was before');
  });

  const pod = async (resource: string, config?: object) => {
    const made = await machine.pod(resource, config);
    pods.push(made);
    return made;
  };
  const add = async ({ call }: LabPod) => {
    const answer = await machine.node.cni('ADD', call);
    assert.equal(answer.exit, 0, answer.stdout);
    return answer.json;
  };
  const check = async ({ call }: LabPod, prevResult: unknown) =>
    await machine.node.cni('CHECK', { ...call, config: { ...(call.config as object), prevResult } });
  const del = async ({ call }: LabPod) => succeeded(await machine.node.cni('DEL', call));

  it('hands a VF to a DPDK program in the pod, whose frames reach the bridge with the MAC and VLAN that were asked for', async () => {
    const pf = await machine.pfNetdev(pfs[0].address);
    const { lab, node } = machine;
    await node.vsctl('--may-exist', 'add-port', 'br0', pf);
    const one = await pod(vfio, { vlan: 100, mac: '02:00:00:00:01:00', maxTxRate: 500 });
    const [vf = ''] = one.vfs;
    const result = await add(one);
    const sandboxed = { name: 'net1', mac: '02:00:00:00:01:00', mtu: 1500, pciID: vf, sandbox: one.netns };
    assert.deepEqual(result.interfaces, [sandboxed]);
    const group = machine.vfs.find(({ address }) => address === vf)?.iommuGroup;
    assert.equal(
      await lab.sh(`basename $(readlink /sys/bus/pci/devices/${vf}/driver); ls -d /dev/vfio/${group}`),
      `vfio-pci\n/dev/vfio/${group}`,
    );
    assert.match(
      await lab.sh(`ip -d link show dev ${pf} | grep -w 02:00:00:00:01:00`),
      /vf 0 .* vlan 100, .* max_tx_rate 500Mbps/,
    );
    succeeded(await check(one, result));
    const learned = await lab.sh(
      `
      ( sleep 8 ) | ip netns exec ${one.netnsName} timeout -s INT 40 dpdk-testpmd -l 0-1 --in-memory -n 1 -a ${vf} -- \
        --forward-mode=txonly --eth-peer=0,${pfs[0].mac} --nb-cores=1 --rxq=1 --txq=1 --total-num-mbufs=4096 --no-lsc-interrupt >/tmp/pmd.log 2>&1 &
      for tries in $(seq 60); do
        ovs-appctl fdb/show br0 | grep 02:00:00:00:01:00 && break
        sleep 0.5
      done
      wait
    `,
      { timeout: 120 },
    );
    assert.match(learned, /^ *\d+ +100 +02:00:00:00:01:00/m);
    await del(one);
    await del(one);
    assert.equal((await check(one, result)).exit, 1);
    await node.vsctl('del-port', 'br0', pf);
  });

  it("moves a VF's netdev into the pod, where it pings through its PF", async () => {
    const cniVersion = '1.0.0'; // the guest's IPAM plugins know no newer one
    const one = await pod(kernel, {
      cniVersion,
      mtu: 1400,
      vlan: 7,
      ipam: { type: 'static', addresses: [{ address: '10.9.0.2/24' }] },
    });
    const two = await pod(kernel, { cniVersion, vlan: 7, ipam: { type: 'static', addresses: [{ address: '10.9.0.3/24' }] } });
    const [a, b] = [await add(one), await add(two)];
    assert.deepEqual(a.ips, [{ address: '10.9.0.2/24', interface: 0 }]);
    succeeded(await check(one, a));
    const link = await machine.lab.sh(`ip netns exec ${one.netnsName} cat /sys/class/net/net1/{address,mtu}`);
    assert.equal(link, `${a.interfaces[0].mac}\n1400`);
    await machine.lab.sh(`ip netns exec ${one.netnsName} ping -c 3 -W 5 -i 0.5 10.9.0.3`);
    assert.equal(b.interfaces.length, 1);
    for (const each of [one, two]) await del(each);
  });

  it('brings a netdev home under its old name when the namespace ended first, and a late DEL is fine', async () => {
    const one = await pod(kernel, { mtu: 1400 });
    await add(one);
    await machine.lab.sh(`ip netns delete ${one.netnsName}`);
    await del({ ...one, call: { ...one.call, netns: '' } });
    assert.equal(await machine.state(), clean);
  });

  it('finishes what a former owner left when kubelet gives the VF to the next pod, whose VF a late DEL does not touch', async () => {
    const old = await pod(vfio, { vlan: 5 });
    await add(old);
    await machine.kubelet.remove(`lab/${old.netnsName}`);
    const next = await pod(vfio, { vlan: 6 });
    assert.deepEqual(next.vfs, old.vfs, 'the same VF');
    const result = await add(next);
    const owned = await machine.state();
    await del(old);
    assert.equal(await machine.state(), owned);
    succeeded(await check(next, result));
    await del(next);
  });

  it('refuses a VF of another pod, of another resource, and one that no kubelet gave', async () => {
    const [one, other] = [await pod(vfio), await pod(vfio)];
    const refusal = async (config: object) =>
      (await machine.node.cni('ADD', { ...one.call, config: { ...(one.call.config as object), ...config } })).json;
    const stolen = await refusal({ deviceID: other.vfs[0] });
    assert.equal(stolen.code, 7);
    assert.match(
      stolen.msg,
      new RegExp(
        `kubelet has not allocated ${other.vfs[0]} to pod lab/${one.netnsName}.* \\(it is pod lab/${other.netnsName}'s\\)`,
      ),
    );
    assert.match((await refusal({ resource: kernel })).msg, /has no smartnic.io\/kernel \(it has smartnic.io\/direct: 1\)/);
    assert.match(
      (await refusal({ representor: 'auto' })).msg,
      /is not in switchdev mode.*devlink dev eswitch set pci\/0000:41:00.0 mode switchdev/,
    );
    assert.match(
      (await refusal({ linkState: 'disable' })).msg,
      /set linkState of VF \d of PF 0000:41:00.0 .*has no such setting/,
    );
  });

  it('says at CHECK that the VF was taken from vfio-pci behind our back, and puts it back all the same', async () => {
    const one = await pod(vfio, { vlan: 9 });
    const result = await add(one);
    await machine.lab.sh(`echo ${one.vfs[0]} >/sys/bus/pci/devices/${one.vfs[0]}/driver/unbind`);
    assert.match((await check(one, result)).json.msg, /is bound to no driver, not vfio-pci/);
    await del(one);
  });

  it('lets a pod go whose VF was removed meanwhile', async () => {
    const one = await pod(vfio, { vlan: 9 });
    const result = await add(one);
    const pf = machine.vfs.find(({ address }) => address === one.vfs[0])?.pf;
    await machine.lab.sh(`echo 0 >/sys/bus/pci/devices/${pf}/sriov_numvfs`);
    assert.match((await check(one, result)).json.msg, /is not on the machine any more/);
    await del(one);
    await machine.end(one);
    await machine.lab.sh(`echo 7 >/sys/bus/pci/devices/${pf}/sriov_numvfs`);
    await machine.kubelet.untilOffered(vfio, 14);
  });

  it('plugs 21 pods at once and leaves nothing of them', async () => {
    const all: LabPod[] = [];
    for (let each = 0; each < 14; each++) all.push(await pod(vfio, { maxTxRate: 10 + each }));
    for (let each = 0; each < 7; each++) all.push(await pod(kernel));
    assert.equal(new Set(all.flatMap(({ vfs }) => vfs)).size, 21);
    const results = await Promise.all(all.map(add));
    assert.equal(new Set(results.map(({ interfaces }) => interfaces[0].pciID)).size, 21);
    assert.deepEqual(
      results.map(({ interfaces }) => interfaces[0].pciID),
      all.flatMap(({ vfs }) => vfs),
    );
    await Promise.all(all.map(del));
  });

  for (const resource of [vfio, kernel]) {
    describe(`keeps the contract of vnic types with ${resource}`, () => {
      vnicContract(() => ({
        refusingIpam: 'refusing',
        cni: machine.node.cni,
        state: machine.state,
        call: async (config) => (await pod(resource, { maxTxRate: 100, ...config })).call,
      }));
    });
  }

  describe('on a switch with representors', () => {
    before(async () => await startSwitch(machine.lab));

    it('makes the representor a port of the bridge, up, with MTU, VLAN and metadata, and its flows are offloaded', async () => {
      const { lab, node } = machine;
      const config = { representor: 'hook', mtu: 1400, vlan: 50 };
      const [one, two] = [await pod(vfio, config), await pod(vfio, config)];
      const [a, b] = [await add(one), await add(two)];
      const [port, other] = [a.interfaces[0].name, b.interfaces[0].name];
      assert.deepEqual(
        a.interfaces.map(({ sandbox }: { sandbox?: string }) => sandbox),
        [undefined, one.netns],
      );
      assert.equal(
        await lab.sh(`cat /sys/class/net/${port}/{phys_port_name,mtu}; ip -br link show dev ${port} | grep -o -w UP`),
        'pf0vf0\n1400\nUP',
      );
      assert.equal(await node.vsctl('iface-to-br', port), 'br0');
      assert.equal(await node.vsctl('get', 'Port', port, 'tag'), '50');
      const ids = await node.vsctl('get', 'Interface', port, 'external_ids:smartnic-pci', 'external_ids:attached-mac');
      assert.equal(ids, `"${one.vfs[0]}"\n"${a.interfaces[1].mac}"`);
      succeeded(await check(one, a));
      await lab.sh(`/share/behind ${port} ${one.netnsName} 10.2.0.1/24; /share/behind ${other} ${two.netnsName} 10.2.0.2/24`);
      await lab.sh(`ip netns exec ${one.netnsName} ping -c 5 -i 0.3 -W 3 10.2.0.2`);
      assert.match(await lab.sh('ovs-appctl dpctl/dump-flows type=offloaded'), /eth_type\(0x0800\)/);
      await lab.sh(`ip link set dev ${port} down`);
      assert.match((await check(one, a)).json.msg, new RegExp(`the representor ${port} is down`));
      for (const each of [one, two]) await del(each);
    });
  });

  describe('when the server is killed', () => {
    const addSteps = {
      [vfio]: ['intent written', 'vf set', 'vf bound', 'committed'],
      [kernel]: ['vf set', 'netdev taken', 'netdev moved'],
    };
    const delSteps = {
      [vfio]: ['deletion noted', 'port removed', 'vf unset', 'vf released', 'cable removed'],
      [kernel]: ['vf unset', 'netdev back', 'vf released'],
    };
    for (const resource of [vfio, kernel]) {
      for (const step of addSteps[resource] ?? []) {
        it(`loses no VF of ${resource} when the server is killed in an ADD: "${step}"`, async () => {
          const one = await pod(resource, { maxTxRate: 100 });
          assert.equal((await machine.killedAt(step, 'ADD', one.call)).json.code, 11);
          if (step === 'committed') await del(one);
          assert.equal(await machine.state(), clean);
          await add(one);
          await del(one);
        });
      }
      for (const step of delSteps[resource] ?? []) {
        it(`loses no VF of ${resource} when the server is killed in a DEL: "${step}"`, async () => {
          const one = await pod(resource, { maxTxRate: 100 });
          await add(one);
          // The executable sends a DEL again; whether it waits long enough for the successor depends on the machine.
          const { exit, json } = await machine.killedAt(step, 'DEL', one.call);
          assert.ok(exit === 0 || json.code === 11, JSON.stringify(json));
          assert.equal(await machine.state(), clean);
          await del(one);
        });
      }
    }
  });
});
