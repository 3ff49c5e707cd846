// What moves frames in the virtual SmartNIC machine: DPDK on a VF, and the kernel datapath between pods. machine.test.ts has what stands still.
import assert from 'node:assert/strict';
import { succeeded } from '../support/answers.ts';
import { containerId } from '../support/node.ts';
import { type DirectMachine, endSharedMachine, sharedDirectMachine } from './direct-machine.ts';
import { pfs } from './hardware.ts';
import type { Lab } from './lab.ts';
import type { LabNode } from './node.ts';
import { bindVfs, type LabVf, unbindVfs } from './vfs.ts';

after(endSharedMachine);

describe('the virtual SmartNIC machine', () => {
  let machine: DirectMachine;
  let lab: Lab;
  let node: LabNode;
  let vfs: readonly LabVf[];

  before(async function () {
    machine = await sharedDirectMachine.call(this);
    ({ lab, node, vfs } = machine);
  });

  it('lets DPDK send from a VF on vfio-pci, and the PF gets frames with the MAC that it gave to the VF', async () => {
    const [vf, mac] = [pick(vfs, 3), '52:54:00:bb:00:03'];
    await lab.sh(`ip link set dev "$(ls /sys/bus/pci/devices/${vf.pf}/net)" vf ${vf.index} mac ${mac}`);
    await bindVfs(lab, [vf], 'vfio-pci');
    const counted = await lab.sh(sendByDpdk(vf, mac), { timeout: 100 });
    const [before, after, ...frames] = counted.split('\n');
    assert.ok(Number(after) - Number(before) > 1000, `the PF counted ${before} and then ${after}`);
    assert.equal(frames.length, 5);
    for (const frame of frames) assert.match(frame, new RegExp(`^${mac} > ${pfs[0].mac}`));
    await unbindVfs(lab, [vf]);
    await lab.sh(`ip link set dev "$(ls /sys/bus/pci/devices/${vf.pf}/net)" vf ${vf.index} mac 00:00:00:00:00:00`);
  });

  it('plugs pods into the kernel datapath, carries pings and TCP between them, and leaves nothing', async () => {
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
