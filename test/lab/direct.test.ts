// `direct` on real VFs: igb's, bound to the real vfio-pci behind a real IOMMU, or with their netdevs in pods. Legacy SR-IOV: without
// representors (switch.test.ts has those).
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refused, succeeded } from '../support/answers.ts';
import { vnicContract } from '../support/vnic-contract.ts';
import {
  type DirectMachine,
  endSharedMachine,
  grouped,
  kernel,
  type LabPod,
  sharedDirectMachine,
  vfio,
} from './direct-machine.ts';
import { directPods } from './direct-pods.ts';
import { pfs } from './hardware.ts';
import { bindVfs, unbindVfs } from './vfs.ts';

after(endSharedMachine);

describe('direct', () => {
  let machine: DirectMachine;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
  });
  const { pod, add, check, del, clean } = directPods(() => machine);
  const withConfig = (call: LabPod['call'], more: object) => ({ ...call, config: { ...(call.config as object), ...more } });

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
      mkfifo /tmp/until
      ip netns exec ${one.netnsName} timeout -s INT 60 dpdk-testpmd -l 0-1 --in-memory -n 1 -a ${vf} -- \
        --forward-mode=txonly --eth-peer=0,${pfs[0].mac} --nb-cores=1 --rxq=1 --txq=1 --total-num-mbufs=4096 --no-lsc-interrupt \
        </tmp/until >/tmp/pmd.log 2>&1 &
      exec 4>/tmp/until # testpmd ends when this does
      for tries in $(seq 100); do
        ovs-appctl fdb/show br0 | grep 02:00:00:00:01:00 && break
        sleep 0.3
      done
      exec 4>&-
      wait
      rm /tmp/until
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
    const [a, b] = await Promise.all([add(one), add(two)]);
    assert.deepEqual(a.ips, [{ address: '10.9.0.2/24', interface: 0 }]);
    succeeded(await check(one, a));
    const link = await machine.lab.sh(`ip netns exec ${one.netnsName} cat /sys/class/net/net1/{address,mtu}`);
    assert.equal(link, `${a.interfaces[0]?.mac}\n1400`);
    await machine.lab.sh(`ip netns exec ${one.netnsName} ping -c 3 -W 5 -i 0.5 10.9.0.3`);
    assert.equal(b.interfaces.length, 1);
    for (const each of [one, two]) await del(each);
  });

  it('brings a netdev home under its old name when the namespace ended first, and a late DEL is fine', async () => {
    const one = await pod(kernel, { mtu: 1400 });
    await add(one);
    await machine.lab.sh(`ip netns delete ${one.netnsName}`);
    await del({ ...one, call: { ...one.call, netns: '' } });
    await clean();
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

  it('refuses a VF of another pod, of another resource, and what the NIC has not', async () => {
    const [one, other] = [await pod(vfio), await pod(vfio)];
    const refusal = async (config: object) => (await machine.node.cni('ADD', withConfig(one.call, config))).json;
    const stolen = await refusal({ deviceID: other.vfs[0] });
    assert.equal(stolen.code, 7);
    assert.match(
      stolen.msg,
      new RegExp(
        `kubelet has not allocated ${other.vfs[0]} to pod lab/${one.netnsName}.* \\(pod lab/${other.netnsName} has it\\)`,
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

  it('refuses a VF that shares its IOMMU group, also one that kubelet gave away before that was so', async () => {
    await assert.rejects(pod(grouped), /requested number of devices unavailable for smartnic.io\/grouped/);
    await machine.kubelet.give('lab/grouped', grouped, '0000:82:10.0');
    const one = await pod(vfio, {});
    const call = withConfig(one.call, { resource: grouped });
    refused(
      await machine.node.cni('ADD', { ...call, args: call.args?.replaceAll(one.netnsName, 'grouped') ?? '' }),
      100,
      /VF 0000:82:10.0: its IOMMU group \d+ also holds 0000:82:00.0, which could reach the pod's memory; is ACS on/,
    );
    await machine.kubelet.remove('lab/grouped');
  });

  it('says at CHECK that the VF was taken from vfio-pci behind our back, and puts it back all the same', async () => {
    const one = await pod(vfio, { vlan: 9 });
    const result = await add(one);
    const [address = ''] = one.vfs;
    await unbindVfs(machine.lab, [{ address }]);
    assert.match((await check(one, result)).json.msg, /is bound to no driver, not vfio-pci/);
    await bindVfs(machine.lab, [{ address }], 'igbvf');
    assert.match((await check(one, result)).json.msg, /is bound to igbvf, not vfio-pci/);
    await del(one);
  });

  it('puts a VF aside that can not be put back as it was, and offers it again when it could', async () => {
    const { lab, kubelet, node } = machine;
    const [first] = machine.vfs;
    assert.ok(first !== undefined);
    const one = await pod(vfio);
    assert.deepEqual(one.vfs, [first.address]);
    await bindVfs(lab, [first], 'uio_pci_generic');
    await add(one);
    await lab.sh('modprobe -r uio_pci_generic');
    const failure = new RegExp(
      `VF ${first.address} could not be put back as it was and is in quarantine \\(/var/lib/smartnic/quarantine/${first.address}\\): ` +
        `bind ${first.address} to uio_pci_generic: the kernel has no such driver loaded; modprobe uio_pci_generic`,
    );
    refused(await node.cni('DEL', one.call), 100, failure);
    await del(one); // said once; the pod can go
    await kubelet.remove(`lab/${one.netnsName}`);
    await node.restart('device-plugin'); // this one would believe only after half a minute that the pod is gone
    await kubelet.untilOffered(vfio, 13);
    assert.match(await node.smartnic('explain', first.address), /quarantine/);
    await lab.sh('modprobe uio_pci_generic');
    await del(one);
    assert.equal(await lab.sh(`basename $(readlink /sys/bus/pci/devices/${first.address}/driver)`), 'uio_pci_generic');
    await unbindVfs(lab, [first]);
    await kubelet.untilOffered(vfio, 14);
    await lab.sh('modprobe -r uio_pci_generic uio');
  });

  it('tells hooks of a real plug and unplug what they are for, and fails with their words', async () => {
    const { lab, node } = machine;
    const log = join(lab.share, 'hooks.log');
    await lab.sh('cat >/etc/smartnic/hooks.d/10-log; chmod +x /etc/smartnic/hooks.d/10-log', { input: loggingHook });
    const one = await pod(vfio, { hooks: true, mac: '02:00:00:00:02:00' });
    await add(one);
    await del(one);
    const calls = (await readFile(log, 'utf8')).trimEnd().split('\n');
    const told = calls.map((line) => JSON.parse(line));
    assert.deepEqual(
      told.map(({ version, event, vf, pod: { name }, attachment: { ifname } }) => [version, event, vf.address, name, ifname]),
      ['before-plug', 'after-plug', 'before-unplug', 'after-unplug'].map((event) => [
        1,
        event,
        one.vfs[0],
        one.netnsName,
        'net1',
      ]),
    );
    assert.deepEqual([told[0].mac, told[0].mtu, told[0].vf.driver], ['02:00:00:00:02:00', 1500, 'vfio-pci']);
    for (const event of ['before-plug', 'after-plug']) {
      await lab.sh(`echo ${event} >/share/refuse`);
      refused(await node.cni('ADD', one.call), 100, new RegExp(`hook 10-log at ${event} ended with status 3: no port license`));
      await lab.sh('rm /share/refuse');
      await clean();
    }
    await lab.sh('rm /etc/smartnic/hooks.d/10-log');
  });

  it("writes the device's information for Multus at ADD, and takes it away at DEL", async () => {
    const file = '/var/run/k8s.cni.cncf.io/devinfo/cni/lab-net1';
    const one = await pod(vfio, { runtimeConfig: { CNIDeviceInfoFile: file } });
    await add(one);
    const [address] = one.vfs;
    assert.deepEqual(JSON.parse(await machine.lab.sh(`cat ${file}`)), {
      type: 'pci',
      version: '1.1.0',
      pci: { 'pci-address': address, 'pf-pci-address': pfs[0].address },
    });
    await del(one);
    assert.equal((await machine.lab.run(`cat ${file}`)).exit, 1);
  });

  describe('keeps the contract of vnic types', () => {
    vnicContract(() => ({
      refusingIpam: 'refusing',
      cni: machine.node.cni,
      state: machine.state,
      call: async (config) => (await pod(vfio, { maxTxRate: 100, ...config })).call,
    }));
  });
});

/** Writes down what it is told; refuses the event that /share/refuse names. */
const loggingHook = `#!/bin/sh
input=$(cat)
[ "$1" != "$(cat /share/refuse 2>/dev/null)" ] || { echo "no port license" >&2; exit 3; }
echo "$input" >>/share/hooks.log
`;
