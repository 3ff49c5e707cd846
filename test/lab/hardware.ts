// The guest's hardware as QEMU's arguments: two NUMA nodes, each with a PCI host bridge of its own; two SR-IOV NICs (Intel 82576,
// driver igb) on the first, one on the second; an IOMMU that remaps interrupts, without which vfio-pci refuses; and a NIC behind a port
// without ACS.
import { join } from 'node:path';
import { folderOf } from './cache.ts';

/** The PFs: their addresses in the guest follow from the bridges' bus numbers. Seven VFs each. */
export const pfs = [
  { address: '0000:41:00.0', mac: '52:54:00:aa:00:00', numaNode: 0, wire: 'a' },
  { address: '0000:42:00.0', mac: '52:54:00:aa:01:00', numaNode: 0, wire: 'a' },
  { address: '0000:81:00.0', mac: '52:54:00:aa:02:00', numaNode: 1, wire: 'b' },
] as const;

/** All its functions are in one IOMMU group with the port that it is behind. */
export const groupedPf = { address: '0000:82:00.0', mac: '52:54:00:aa:03:00', numaNode: 1, wire: 'b' } as const;
/** By which the guest knows the netdev of its uplink. */
export const uplinkMac = '52:54:00:aa:ff:00';
export type Pf = (typeof pfs)[number] | typeof groupedPf;

/** A folder of this machine in the guest. One that is read-only may be cached there, so nobody should change it meanwhile. */
export interface Share {
  readonly path: string;
  /** Absolute, in the guest. */
  readonly at: string;
  readonly writable?: true;
}

/** A wire from the guest (a virtio NIC, apart from the SR-IOV ones) to a tap device in a network namespace of this machine. */
export interface Uplink {
  /** A process in that namespace. */
  readonly pid: number;
  readonly tap: string;
}

export interface Hardware {
  /** Where the initrd lies and the guest's console goes to. */
  readonly dir: string;
  /** The unix socket that QEMU connects the virtio port `lab` to. */
  readonly channel: string;
  readonly shares: readonly Share[];
  readonly iommu: boolean;
  readonly uplink?: Uplink | undefined;
}

const kernelCommand = [
  'console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off nokaslr audit=0 apparmor=0',
  // The emulated APIC now and then loses the one interrupt that a sleeping CPU waits for, and the guest stands still (every fourth
  // boot on a busy machine). A timer that ticks for ever makes up for it.
  'nohz=off highres=off',
  // On a busy machine the kernel would decide that its timer does not work, and panic, or that the clocks of its CPUs disagree.
  'no_timer_check tsc=reliable',
];

/** An old one with few features: QEMU does AVX in slow motion, and what the C library and Node do with it costs a quarter more time. */
const cpu = 'Nehalem,+x2apic,+rdrand,+rdtscp';

export function hardwareArguments({ dir, channel, shares, iommu, uplink }: Hardware): readonly string[] {
  const kernel = folderOf('kernel');
  const roots = { root: folderOf('root'), kernel: join(kernel, 'root') };
  const mounts = shares.map(({ at, writable }, index) => `lab.share=share${index}:${at}${writable ? '' : ':ro'}`);
  return [
    // No KVM, also where there is one: the same machine everywhere.
    ...['-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', cpu, '-M', 'q35,kernel-irqchip=split'],
    ...['-m', '4G', '-smp', '2,sockets=2,cores=1,threads=1', '-no-reboot'],
    ...[0, 1].flatMap((node) => [
      ...['-object', `memory-backend-ram,id=m${node},size=2G`],
      ...['-numa', `node,nodeid=${node},memdev=m${node},cpus=${node}`],
    ]),
    ...['-display', 'none', '-nodefaults', '-serial', `file:${join(dir, 'console')}`],
    ...[
      '-kernel',
      join(kernel, 'vmlinuz'),
      '-initrd',
      join(dir, 'initrd'),
      '-append',
      [...kernelCommand, `intel_iommu=${iommu ? 'on' : 'off'}`, ...mounts].join(' '),
    ],
    ...Object.entries(roots).flatMap(([tag, path]) => share(tag, path, true)),
    ...shares.flatMap(({ path, writable }, index) => share(`share${index}`, path, writable === undefined)),
    ...['-device', 'virtio-serial-pci', '-chardev', `socket,id=lab,path=${channel}`],
    ...['-device', 'virtserialport,chardev=lab,name=lab'],
    ...['-device', 'intel-iommu,intremap=on,caching-mode=on'],
    ...['-device', 'pxb-pcie,id=bridge0,bus=pcie.0,bus_nr=0x40,numa_node=0'],
    ...['-device', 'pxb-pcie,id=bridge1,bus=pcie.0,bus_nr=0x80,numa_node=1'],
    ...[
      { pf: pfs[0], port: 'bus=bridge0,addr=0.0,multifunction=on' },
      { pf: pfs[1], port: 'bus=bridge0,addr=0.1' },
      { pf: pfs[2], port: 'bus=bridge1,addr=0.0,multifunction=on' },
      { pf: groupedPf, port: 'bus=bridge1,addr=0.1,disable-acs=true' },
    ].flatMap(nic),
    ...(uplink === undefined
      ? []
      : [
          ...['-netdev', `tap,id=uplink,ifname=${uplink.tap},script=no,downscript=no`],
          ...['-device', `virtio-net-pci,bus=pcie.0,netdev=uplink,mac=${uplinkMac},romfile=`],
        ]),
  ];
}

function share(tag: string, path: string, readonly: boolean): readonly string[] {
  const options = `path=${path.replaceAll(',', ',,')},mount_tag=${tag},security_model=none,multidevs=remap`;
  return ['-virtfs', `local,${options}${readonly ? ',readonly=on' : ''}`];
}

/** NICs on one wire reach each other through a hub. */
function nic({ pf: { mac, wire }, port }: { pf: Pf; port: string }, index: number): readonly string[] {
  return [
    ...['-netdev', `hubport,hubid=${wire === 'a' ? 0 : 1},id=wire${index}`],
    ...['-device', `pcie-root-port,id=port${index},${port},chassis=${index + 1},slot=${index + 1}`],
    ...['-device', `igb,id=pf${index},bus=port${index},netdev=wire${index},mac=${mac}`],
  ];
}
