// The guest's hardware as QEMU's arguments: two NUMA nodes, each with a PCI host bridge of its own; two SR-IOV NICs (Intel 82576,
// driver igb) on the first, one on the second; an IOMMU that remaps interrupts, without which vfio-pci refuses.
import { join } from 'node:path';
import { folderOf } from './cache.ts';

/** The PFs: their addresses in the guest follow from the bridges' bus numbers. Seven VFs each. */
export const pfs = [
  { address: '0000:41:00.0', mac: '52:54:00:aa:00:00', numaNode: 0, wire: 'a' },
  { address: '0000:42:00.0', mac: '52:54:00:aa:01:00', numaNode: 0, wire: 'a' },
  { address: '0000:81:00.0', mac: '52:54:00:aa:02:00', numaNode: 1, wire: 'b' },
] as const;
export type Pf = (typeof pfs)[number];

/** A folder of this machine in the guest. One that is read-only may be cached there, so nobody should change it meanwhile. */
export interface Share {
  readonly path: string;
  /** Absolute, in the guest. */
  readonly at: string;
  readonly writable?: true;
}

export interface Hardware {
  /** Where the initrd lies and the guest's console goes to. */
  readonly dir: string;
  /** The unix socket that QEMU connects the virtio port `lab` to. */
  readonly channel: string;
  readonly shares: readonly Share[];
}

const kernelCommand = [
  'console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off nokaslr audit=0 apparmor=0 intel_iommu=on',
  // The emulated APIC now and then loses the one interrupt that a sleeping CPU waits for, and the guest stands still (every fourth
  // boot on a busy machine). A timer that ticks for ever makes up for it.
  'nohz=off highres=off',
  // What a busy machine makes the kernel misjudge: whether its timer works (else it panics), whether its CPUs' clocks agree.
  'no_timer_check tsc=reliable',
];

export function hardwareArguments({ dir, channel, shares }: Hardware): readonly string[] {
  const kernel = folderOf('kernel');
  const roots = { root: folderOf('root'), kernel: join(kernel, 'root') };
  const mounts = shares.map(({ at, writable }, index) => `lab.share=share${index}:${at}${writable ? '' : ':ro'}`);
  return [
    // No KVM, also where there is one: the same machine everywhere.
    ...['-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'max', '-M', 'q35,kernel-irqchip=split'],
    ...['-m', '4G', '-smp', '4,sockets=2,cores=2,threads=1', '-no-reboot'],
    ...[0, 1].flatMap((node) => [
      ...['-object', `memory-backend-ram,id=m${node},size=2G`],
      ...['-numa', `node,nodeid=${node},memdev=m${node},cpus=${2 * node}-${2 * node + 1}`],
    ]),
    ...['-display', 'none', '-nodefaults', '-serial', `file:${join(dir, 'console')}`],
    ...['-kernel', join(kernel, 'vmlinuz'), '-initrd', join(dir, 'initrd'), '-append', [...kernelCommand, ...mounts].join(' ')],
    ...Object.entries(roots).flatMap(([tag, path]) => share(tag, path, true)),
    ...shares.flatMap(({ path, writable }, index) => share(`share${index}`, path, writable === undefined)),
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=lab,path=${channel}`],
    ...['-device', 'virtserialport,chardev=lab,name=lab'],
    ...['-device', 'intel-iommu,intremap=on,caching-mode=on'],
    ...[0, 1].flatMap((node) => [
      '-device',
      `pxb-pcie,id=bridge${node},bus=pcie.0,bus_nr=${node === 0 ? 0x40 : 0x80},numa_node=${node}`,
    ]),
    ...pfs.flatMap(nic),
  ];
}

function share(tag: string, path: string, readonly: boolean): readonly string[] {
  const options = `path=${path.replaceAll(',', ',,')},mount_tag=${tag},security_model=none,multidevs=remap`;
  return ['-virtfs', `local,${options}${readonly ? ',readonly=on' : ''}`];
}

/** NICs on one wire reach each other through a hub. */
function nic({ mac, numaNode, wire }: Pf, index: number): readonly string[] {
  const place = `addr=${numaNode === 0 ? `0.${index},multifunction=on` : '0.0'},chassis=${index + 1},slot=${index + 1}`;
  return [
    ...['-netdev', `hubport,hubid=${wire === 'a' ? 0 : 1},id=wire${index}`],
    ...['-device', `pcie-root-port,id=port${index},bus=bridge${numaNode},${place}`],
    ...['-device', `igb,id=pf${index},bus=port${index},netdev=wire${index},mac=${mac}`],
  ];
}
