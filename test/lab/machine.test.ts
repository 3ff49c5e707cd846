// What the virtual SmartNIC machine has, and that our program works on it as it ships. One boot for all.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { SwitchPort } from '../../host/representor.ts';
import { succeeded } from '../support/answers.ts';
import { containerId } from '../support/node.ts';
import { runFile } from './bundle.ts';
import { pfs } from './hardware.ts';
import { bootLab, type Lab } from './lab.ts';
import { type LabNode, startLabNode } from './node.ts';
import { makeSwitchdevNic } from './switchdev.ts';
import { bindVf, type LabVf, makeVfs } from './vfs.ts';

describe('the virtual SmartNIC machine', function () {
  this.timeout(120_000);
  let lab: Lab;
  let node: LabNode;
  let vfs: readonly LabVf[];

  before(async function () {
    this.timeout(900_000);
    lab = await bootLab();
    vfs = (await Promise.all(pfs.map((pf) => makeVfs(lab, pf, 7)))).flat();
    node = await startLabNode(lab);
    const seconds = Object.entries({ guest: lab.bootMs, ...node.startMs }).map(
      ([name, ms]) => `${name} ${(ms / 1000).toFixed(1)} s`,
    );
    console.log(`      up: ${seconds.join(', ')}`);
  });
  after(async () => lab?.[Symbol.asyncDispose]());

  it('has three PFs with seven VFs each on two NUMA nodes, every VF alone in its IOMMU group', () => {
    assert.equal(vfs.length, 21);
    assert.equal(new Set(vfs.map(({ address }) => address)).size, 21);
    assert.equal(new Set(vfs.map(({ iommuGroup }) => iommuGroup)).size, 21);
    for (const vf of vfs) {
      assert.equal(vf.groupSize, 1);
      assert.equal(vf.numaNode, pfs.find(({ address }) => address === vf.pf)?.numaNode);
    }
  });

  it('shows all VFs to the device plugin, with the pool that offers them', async () => {
    const lines = (await node.devicePlugin('vfs')).split('\n');
    for (const { address, numaNode, index } of vfs) {
      const line = lines.find((each) => each.startsWith(address)) ?? '';
      assert.match(line, new RegExp(`^${address} +\\S+ +${index} +- +${numaNode} +smartnic.io/direct +free$`));
    }
  });

  it('binds a VF to vfio-pci, which makes a file for its group, and the device plugin explains it', async () => {
    const vf = pick(vfs, 2);
    const before = await lab.sh('ls /dev/vfio');
    assert.ok(!before.split('\n').includes(`${vf.iommuGroup}`));
    await bindVf(lab, vf, 'vfio-pci');
    assert.equal(await lab.sh(`stat -c %F /dev/vfio/${vf.iommuGroup}`), 'character special file');
    assert.match(
      await node.devicePlugin('explain', vf.address),
      new RegExp(`driver +vfio-pci\\n(.*\\n)*.*group ${vf.iommuGroup}\\n`),
    );
  });

  it('lets DPDK send from a VF on vfio-pci, and the PF gets frames with the MAC that it gave to the VF', async () => {
    const [vf, mac] = [pick(vfs, 3), '52:54:00:bb:00:03'];
    await lab.sh(`ip link set dev "$(ls /sys/bus/pci/devices/${vf.pf}/net)" vf ${vf.index} mac ${mac}`);
    await bindVf(lab, vf, 'vfio-pci');
    const counted = await lab.sh(sendByDpdk(vf, mac), { timeout: 100 });
    const [before, after, ...frames] = counted.split('\n');
    assert.ok(Number(after) - Number(before) > 1000, `the PF counted ${before} and then ${after}`);
    assert.equal(frames.length, 5);
    for (const frame of frames) assert.match(frame, new RegExp(`^${mac} > ${pfs[0].mac}`));
  });

  it('plugs pods into the kernel datapath, carries pings and TCP between them, and leaves nothing', async () => {
    await node.vsctl('add-br', 'br0', '--', 'set', 'Bridge', 'br0', 'datapath_type=system', 'fail-mode=standalone');
    const [a, b] = [await plug('pod-a'), await plug('pod-b')];
    await lab.sh(`ip netns exec pod-a ping -n -c 3 -i 0.2 -W 2 ${b.address}`);
    const flows = await lab.sh('ovs-appctl dpctl/dump-flows');
    assert.match(flows, /eth_type\(0x0800\)/);
    await lab.sh(sendByTcp('pod-a', 'pod-b', b.address));
    for (const each of [a, b]) succeeded(await node.cni('DEL', each.call));
    assert.equal(await node.vsctl('list-ports', 'br0'), '');
    assert.equal(await lab.sh('ip -oneline link show type veth'), '');
    await lab.sh('ip netns delete pod-a; ip netns delete pod-b');
  });

  it('has a NIC in switchdev mode: representors of one switch, found by our program, offloading between its VFs', async () => {
    const nic = await makeSwitchdevNic(lab, 2);
    assert.match(await lab.sh(`devlink dev eswitch show ${nic.name}`), / mode switchdev/);
    const ports: readonly SwitchPort[] = JSON.parse(await runFile(lab, join(import.meta.dirname, 'guest/switch-ports.ts')));
    assert.equal(new Set(ports.map(({ switchId }) => switchId)).size, 1);
    assert.deepEqual(
      nic.vfs.map(({ representor }) => ports.find(({ netdev }) => netdev === representor)?.name),
      nic.vfs.map((_, vf) => ({ kind: 'vf', pf: 0, vf })),
    );
    await node.vsctl('set', 'Open_vSwitch', '.', 'other_config:hw-offload=true');
    await node.vsctl('add-br', 'br-nic', '--', 'set', 'Bridge', 'br-nic', 'fail-mode=standalone');
    for (const { representor } of nic.vfs) await node.vsctl('add-port', 'br-nic', representor);
    for (const [index, { netns, netdev }] of nic.vfs.entries())
      await lab.sh(`ip -n ${netns} address add 10.88.0.${index + 1}/24 dev ${netdev}`);
    await lab.sh('ip netns exec vf0 ping -n -c 5 -i 0.2 -W 2 10.88.0.2');
    const offloaded = await lab.sh('ovs-appctl dpctl/dump-flows --names type=offloaded');
    for (const { representor } of nic.vfs) assert.match(offloaded, new RegExp(`in_port\\(${representor}\\).*actions:`));
  });

  async function plug(name: string) {
    const ranges = [[{ subnet: '10.77.0.0/24' }]];
    const config = { cniVersion: '1.1.0', name: 'lab', type: 'smartnic', bridge: 'br0', ipam: { type: 'host-local', ranges } };
    const call = { containerId: containerId(), netns: await node.pod(name), config };
    const answer = await node.cni('ADD', call);
    assert.equal(answer.exit, 0, answer.stdout);
    return { call, address: String(answer.json.ips[0].address).replace(/\/.*/, '') };
  }
});

function pick(vfs: readonly LabVf[], index: number): LabVf {
  const vf = vfs[index];
  assert.ok(vf !== undefined);
  return vf;
}

/** Prints the PF's count of received packets before and after, and the first five frames. testpmd ends when its stdin does. */
function sendByDpdk(vf: LabVf, mac: string): string {
  return `
    set -e
    pf=$(ls /sys/bus/pci/devices/${vf.pf}/net)
    echo 256 >/sys/devices/system/node/node${vf.numaNode}/hugepages/hugepages-2048kB/nr_hugepages
    timeout 60 tcpdump -Z root -l -e -nn -c 5 -i $pf ether src ${mac} >/tmp/frames 2>/tmp/tcpdump.log &
    cat /sys/class/net/$pf/statistics/rx_packets
    options='--forward-mode=txonly --nb-cores=1 --total-num-mbufs=4096 --txd=256 --rxd=256 --no-lsc-interrupt --stats-period 1'
    timeout -s INT 60 dpdk-testpmd -l 0-1 --in-memory -a ${vf.address} -- --eth-peer=0,${pfs[0].mac} $options >/tmp/testpmd.log 2>&1 &
    testpmd=$!
    wait %1 || { cat /tmp/testpmd.log /tmp/tcpdump.log >&2; exit 1; }
    sleep 1
    cat /sys/class/net/$pf/statistics/rx_packets
    kill $testpmd
    wait $testpmd || true
    cut -d' ' -f2- /tmp/frames
  `;
}

/** A megabyte of random bytes from one namespace to the other; fails unless it arrives as it was. */
function sendByTcp(from: string, to: string, address: string): string {
  return `
    set -e
    head -c 1048576 /dev/urandom >/tmp/sent
    ip netns exec ${to} socat -u TCP-LISTEN:5001 CREATE:/tmp/received &
    ip netns exec ${from} socat -u FILE:/tmp/sent TCP:${address}:5001,retry=50,interval=0.1
    wait
    cmp /tmp/sent /tmp/received
  `;
}
