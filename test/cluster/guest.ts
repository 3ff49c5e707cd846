// A cluster whose node is the virtual SmartNIC machine: the control plane runs on this machine as always, kubelet, containerd and Open
// vSwitch in a QEMU guest that has real VFs (test/lab). The traffic between the two stays in the cluster's network namespace.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { archiveOf, targets } from '../../tools/image/names.ts';
import { uplinkMac } from '../lab/hardware.ts';
import { bootLab, type Lab } from '../lab/lab.ts';
import { startOvs } from '../lab/node.ts';
import { quote } from '../lab/shell.ts';
import { addresses } from './addresses.ts';
import { kubeletFolder, programsFolder } from './cache.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { components, type Place } from './components.ts';
import { multus } from './node.ts';

export interface GuestCluster extends AsyncDisposable {
  /** Its `sh` runs in the guest. Everything else runs where the control plane is. */
  readonly cluster: Cluster;
  readonly lab: Lab;
}

export interface GuestOptions {
  /** Makes VFs, hugepages and bridges before kubelet starts. */
  readonly prepare: (lab: Lab) => Promise<unknown>;
  readonly says?: (text: string) => void;
}

/** Seconds that a pod may need: everything takes ten times as long as on this machine. */
const patience = 400;
/** containerd's folder of this machine. */
const unpacked = '/unpacked';

/** @throws LabUnavailable, ClusterUnavailable where the programs can't be had. */
export async function startGuestCluster({ prepare, says = () => {} }: GuestOptions): Promise<GuestCluster> {
  await using undo = new AsyncDisposableStack();
  const control = undo.use(await startCluster({ withoutKubelet: true, says }));
  // Unpacked here: the guest would need a minute for it.
  for (const target of targets) await control.importImage(archiveOf(target));
  await control.stop('containerd', 'SIGTERM');
  const lab = undo.use(await bootNode(control));
  says(`images; the guest, which booted in ${(lab.bootMs / 1000).toFixed(1)} s`);

  const { place } = control;
  await lab.sh(becomeNode(place), { input: JSON.stringify(multus(control)) });
  await lab.sh(startOvs);
  await prepare(lab);
  says('Open vSwitch, VFs');
  await background(lab, 'containerd', components.containerd(place));
  // Kubelet ends when it finds no containerd.
  await lab.sh(`for tries in $(seq 150); do ${programsFolder()}/ctr version >/dev/null 2>&1 && exit 0; sleep 0.2; done; exit 1`);
  await background(lab, 'kubelet', components.kubelet(place));
  await control.nodeReady();
  says('kubelet');

  const sh: Cluster['sh'] = async (script, { input = '', timeout = 60_000 } = {}) =>
    await lab.sh(script, { input, timeout: timeout / 1000 });
  const kept = undo.move();
  return { cluster: { ...control, patience, sh }, lab, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function bootNode({ dir, sh }: Cluster): Promise<Lab> {
  await sh('ip tuntap add dev guest0 mode tap && ip link set dev guest0 master node0 up');
  return await bootLab({
    uplink: { pid: Number(readFileSync(join(dir, 'run/node.pid'), 'utf8')), tap: 'guest0' },
    shares: [
      { path: join(dir, 'containerd'), at: unpacked },
      // The paths are the same on both sides, because command lines and kubeconfigs name them.
      ...[...new Set([programsFolder(), kubeletFolder(), join(dir, 'pki'), join(dir, 'etc')])].map((path) => ({
        path,
        at: path,
      })),
    ],
  });
}

/** What node-init, cluster.ts and node.ts do for a node on this machine. Multus' configuration is its stdin. */
const becomeNode = ({ dir, cgroup, address }: Place) => `
  set -e
  modprobe -a virtio_net bridge br_netfilter veth
  link=$(grep -l ${uplinkMac} /sys/class/net/*/address | cut -d/ -f5)
  ip address add ${address}/24 dev "$link"
  ip link set dev "$link" up
  ip route add default via ${addresses.node}
  mount --make-rshared /
  for each in $(cat /sys/fs/cgroup/cgroup.controllers); do echo "+$each" >/sys/fs/cgroup/cgroup.subtree_control; done
  mkdir -p /sys/fs/cgroup/${cgroup} ${dir}/{log,podlogs} /share/log /etc/cni/net.d /opt/cni/bin /var/lib/kubelet
  cat >/etc/cni/net.d/00-multus.conf
  cp -t /opt/cni/bin /usr/lib/cni/{bridge,host-local,static,tuning}
  cp -t /opt/cni/bin ${programsFolder()}/multus

  # The images as they were unpacked, with room for containers: their folders can't lie on an overlay.
  root=${dir}/containerd snapshots=io.containerd.snapshotter.v1.overlayfs
  mkdir -p $root /run/containerd-root/{files,work}
  mount -t overlay -o lowerdir=${unpacked},upperdir=/run/containerd-root/files,workdir=/run/containerd-root/work overlay $root
  mount -t tmpfs tmpfs $root/$snapshots
  cp ${unpacked}/$snapshots/metadata.db $root/$snapshots/
  for layer in $(ls ${unpacked}/$snapshots/snapshots); do
    mkdir -p $root/$snapshots/snapshots/$layer/{fs,work}
    mount --bind ${unpacked}/$snapshots/snapshots/$layer/fs $root/$snapshots/snapshots/$layer/fs
  done
`;

/** Until the guest ends. Its output is in log/NAME.log of the shared folder. */
async function background(lab: Lab, name: string, command: readonly string[]): Promise<void> {
  const words = command.map(quote).join(' ');
  await lab.sh(`PATH=${programsFolder()}:$PATH setsid ${words} </dev/null >/share/log/${name}.log 2>&1 &`);
}
