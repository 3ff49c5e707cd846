// The whole way with real VFs: deploy/ as it is on a real kubelet and containerd in the virtual SmartNIC machine (guest.ts), a pod of each
// vnic type, frames between them, and nothing left. The NICs are QEMU's igb: no switchdev, so the PF is the VFs' port of the bridge.
import { strict as assert } from 'node:assert';
import { LabUnavailable } from '../lab/ensure.ts';
import { pin, reachBehind } from '../lab/forwarder.ts';
import { pfs } from '../lab/hardware.ts';
import type { Lab } from '../lab/lab.ts';
import { bindVfs, makeVfs } from '../lab/vfs.ts';
import { type Cluster, eventually } from './cluster.ts';
import { deploy } from './deployment.ts';
import { factsOf, socketServing, vfioDriven } from './dpdk-pods.ts';
import { type GuestCluster, startGuestCluster } from './guest.ts';
import { networkAttachmentDefinitions } from './node.ts';
import { inPod, leftovers, network, networkStatus, pod, remove, untilReady } from './pods.ts';

/** On the bridge. Two of them would send each other every broadcast for ever: the emulated ones give back what they sent. */
const uplink = pfs[1];
const [direct, kernel, forwarded] = ['smartnic.io/direct', 'smartnic.io/kernel', 'smartnic.io/virtio-forwarder'] as const;

/** As an admin writes them for these NICs; all else is as it ships. */
const pools = `pools:
  - { name: smartnic, vnicType: [direct, virtio-forwarder], selectors: [{ rootDevices: ["${uplink.address}#0-3"] }] }
  - { name: kernel, vnicType: direct, driver: kernel, resourceName: kernel, selectors: [{ rootDevices: ["${uplink.address}#4-5"] }] }
`;

const resources = { vfio: direct, netdev: kernel, socket: forwarded } as const;
const bridge = 'br-int';
/** For static neighbours. */
const capabilities = ['NET_ADMIN'];

const macs = {
  near: '02:00:00:00:09:10',
  other: '02:00:00:00:09:11',
  vfio: '02:00:00:00:09:20',
  netdev: '02:00:00:00:09:30',
  socket: '02:00:00:00:09:40',
} as const;
/** A relay takes a CPU wholly; of an emulated one that would be too much. */
const slowRelay = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'smartnic-forwarder', namespace: 'kube-system' },
  spec: {
    template: {
      spec: { containers: [{ name: 'forwarder', resources: { requests: { cpu: '600m' }, limits: { cpu: '600m' } } }] },
    },
  },
};

type Name = keyof typeof macs;
const names = Object.keys(macs) as readonly Name[];

describe('a cluster whose node has real VFs (the virtual SmartNIC machine)', () => {
  let cluster: Cluster;
  let lab: Lab;
  let clean: string;
  let guest: GuestCluster | undefined;

  before(async function () {
    const began = performance.now();
    const says = (text: string) => console.log(`      ${((performance.now() - began) / 1000).toFixed(0).padStart(3)} s  ${text}`);
    try {
      guest = await startGuestCluster({ prepare, says });
    } catch (error) {
      if (!(error instanceof LabUnavailable)) throw error;
      console.log(`skipped: ${error.message}`);
      return this.skip();
    }
    ({ cluster, lab } = guest);
    await cluster.apply(networkAttachmentDefinitions);
    await deploy(cluster, 'multus', { 'pools.yaml': pools }, { components: ['forwarder'], patches: [slowRelay] });
    says('smartnic and its forwarder run');
    await cluster.apply(...networks);
    clean = await state();
  });
  after(async () => await guest?.[Symbol.asyncDispose]());

  /** VFs as their PFs tell them and their drivers, ports, relays, sockets, device-info. */
  const state = async () =>
    await lab.sh(`
      ip -details link show | grep -w vf
      ls -d /sys/bus/pci/drivers/{igbvf,vfio-pci}/0000* 2>/dev/null
      ovs-vsctl list-ports ${bridge}
      pgrep -a dpdk-testpmd
      find /run/smartnic/vhost /var/lib/smartnic/{attachments,quarantine,forwarder} /run/k8s.cni.cncf.io/devinfo ! -type d 2>/dev/null | sort
      true
    `);

  const net1 = async (name: Name) => {
    const found = (await networkStatus(cluster, name)).get('net1');
    assert.ok(found, `${name} has a net1`);
    return found;
  };
  const addressOf = async (name: Name) => (await net1(name)).ips?.[0] ?? '';
  /** By the container's environment. */
  const vfOf = async (name: 'vfio' | 'netdev' | 'socket') => {
    const variable = `PCIDEVICE_${resources[name].toUpperCase().replaceAll(/[^A-Z]/g, '_')}`;
    const env = name === 'netdev' ? await inPod(cluster, name, 'env') : (await factsOf(cluster, name)).env.join('\n');
    const [, address] = new RegExp(`^${variable}=(\\S+)$`, 'm').exec(env) ?? [];
    assert.match(address ?? '', /^0000:\d\d:1\d\.\d$/, variable);
    return address ?? '';
  };
  const netdevOfPf = async () => await lab.sh(`ls /sys/bus/pci/devices/${uplink.address}/net`);

  /** What the emulated NICs do not tell the bridge and each other (test/lab/README.md), and who has which address: testpmd claims them all. */
  const meet = async () => {
    const pf = await netdevOfPf();
    for (const name of ['near', 'other'] as const) {
      const port = await lab.sh(`ovs-vsctl --bare --columns=name find Interface 'external_ids:attached-mac="${macs[name]}"'`);
      await pin(lab, port, { mac: macs[name], bridge });
      await reachBehind(lab, pf, macs[name]);
    }
    for (const name of ['vfio', 'netdev', 'socket'] as const) await pin(lab, pf, { mac: macs[name], bridge });
    const known = await Promise.all(names.map(async (name) => `arp -s ${await addressOf(name)} ${macs[name]}`));
    for (const name of ['near', 'other', 'netdev'] as const)
      await inPod(cluster, name, 'sh', '-c', known.filter((line) => !line.endsWith(macs[name])).join(' && '));
  };
  /** So many echo requests from the pod `near`: how many were answered. */
  const echoes = async (name: Name, count: number) => {
    const said = await inPod(cluster, 'near', 'sh', '-c', `ping -q -c ${count} -W 3 ${await addressOf(name)} || true`);
    const answers = Number(/(\d+) packets received/.exec(said)?.[1] ?? 0);
    if (answers === 0) throw new Error(`no answer: ${said}`);
    return answers;
  };

  it('shows the VFs as resources of the node', async () => {
    await eventually('the resources', 60, async () => {
      const { status } = await cluster.get('node', 'node1');
      const { [direct]: one, [forwarded]: two, [kernel]: three } = status.allocatable;
      assert.deepEqual([one, two, three], ['4', '4', '2']);
    });
  });

  it('makes a pod of each vnic type Ready with net1: the annotation chooses', async () => {
    await cluster.apply(
      pod('near', { networks: interfaceOf('near', 'plain'), capabilities }),
      pod('other', { networks: interfaceOf('other', 'plain'), vnicType: 'normal', capabilities }),
      vfioDriven(pod('vfio', { networks: interfaceOf('vfio', 'passed'), vnicType: 'direct', devices: { [direct]: 1 } })),
      pod('netdev', { networks: interfaceOf('netdev', 'moved'), vnicType: 'direct', devices: { [kernel]: 1 }, capabilities }),
      socketServing(
        pod('socket', { networks: interfaceOf('socket', 'relayed'), vnicType: 'virtio-forwarder', devices: { [forwarded]: 1 } }),
        macs.socket,
      ),
    );
    await untilReady(cluster, ...names);
  });

  it('tells Multus of each interface, and containers of their VFs', async () => {
    for (const name of ['near', 'other', 'netdev'] as const)
      assert.match(await inPod(cluster, name, 'ip', '-o', 'link', 'show', 'net1'), new RegExp(macs[name]));
    for (const name of ['vfio', 'netdev'] as const) {
      const address = await vfOf(name);
      assert.deepEqual((await net1(name))['device-info'], {
        ...{ type: 'pci', version: '1.1.0' },
        pci: { 'pci-address': address, 'pf-pci-address': uplink.address },
      });
    }
    const address = await vfOf('socket');
    assert.deepEqual((await net1('socket'))['device-info'], {
      ...{ type: 'vhost-user', version: '1.1.0' },
      'vhost-user': { mode: 'server', path: `/var/run/smartnic/${address}/vhost.sock` },
    });
    const group = await lab.sh(`basename $(readlink -f /sys/bus/pci/devices/${await vfOf('vfio')}/iommu_group)`);
    assert.deepEqual((await factsOf(cluster, 'vfio')).vfio, [group, 'vfio']);
    assert.deepEqual((await factsOf(cluster, 'socket')).vfio, [], "the vfio device is the forwarder's alone");
  });

  it('carries frames between them and a pod of type normal on the same bridge', async () => {
    await meet();
    const figures: string[] = [];
    for (const name of names.slice(1)) {
      const answers = await eventually(`an answer of ${name}`, 90, () => echoes(name, 1)).then(() => echoes(name, 10));
      figures.push(`${name} ${answers}`);
      assert.ok(answers >= 7, `of 10 echo requests to ${name} ${answers} were answered`);
    }
    console.log(`      of 10 echoes each: ${figures.join(', ')}`);
  });

  it('leaves nothing of deleted pods: VFs free and with their drivers, the bridge empty', async () => {
    await remove(cluster, ...names);
    await eventually('nothing is left', 60, async () => assert.deepEqual(await leftovers(cluster), []));
    await eventually('the node is as it was', 60, async () => assert.equal(await state(), clean));
    // A VF is free again once kubelet has not spoken of it for a while.
    await eventually('free VFs', 90, async () => {
      const vfs = await cluster.kubectl(
        '-n',
        'kube-system',
        'exec',
        'daemonset/smartnic',
        '-c',
        'cni',
        '--',
        'smartnic.mjs',
        'vfs',
      );
      assert.deepEqual(
        vfs
          .split('\n')
          .slice(1)
          .map((line) => line.split(/ +/).at(-1)),
        Array(6).fill('free'),
        vfs,
      );
    });
  });
});

/** Igb's VFs have no representors: the bridge is told where each address is, as the NICs do not (test/lab/README.md). */
async function prepare(lab: Lab): Promise<void> {
  await lab.sh(`
    echo 640 >/proc/sys/vm/nr_hugepages
    ovs-vsctl --timeout=30 add-br ${bridge} -- set bridge ${bridge} fail_mode=standalone
    ip link set dev ${bridge} up
  `);
  const vfs = await makeVfs(lab, uplink, 6);
  await bindVfs(lab, vfs, 'igbvf');
  await lab.sh(`ovs-vsctl --timeout=30 add-port ${bridge} "$(ls /sys/bus/pci/devices/${uplink.address}/net)"`);
}

const networks = [
  network('plain', { ...told(10) }),
  network('passed', { ...told(20), representor: 'none' }, direct),
  network('moved', { ...told(30), representor: 'none', driver: 'kernel', resource: kernel }, kernel),
  network('relayed', { ...told(40), representor: 'none' }, forwarded),
];

/** Ten addresses of one subnet for each network, for nobody gives them out for all. */
function told(from: number): object {
  const range = { subnet: '10.9.0.0/24', rangeStart: `10.9.0.${from}`, rangeEnd: `10.9.0.${from + 9}` };
  return {
    allowPodMac: true,
    capabilities: { mac: true, CNIDeviceInfoFile: true },
    ipam: { type: 'host-local', ranges: [[range]] },
  };
}

function interfaceOf(name: Name, of: string): string {
  return JSON.stringify([{ name: of, interface: 'net1', mac: macs[name] }]);
}
