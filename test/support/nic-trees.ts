// Trees of files that look like real NICs: names, ids and port names as their drivers show them in /sys.
import type { TreePf, TreeVf } from './sysfs-tree.ts';

/** `0000:03:08.0`, `.1`, … for a PF at 0000:03:00.0: eight functions a device, beginning at device 8. */
function vfAddress(pf: string, index: number): string {
  const [domain, bus] = pf.split(':');
  const device = (8 + Math.floor(index / 8)).toString(16).padStart(2, '0');
  return `${domain}:${bus}:${device}.${index % 8}`;
}

function times(count: number, make: (index: number) => TreeVf): readonly TreeVf[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** Netronome Agilio CX: one PCI function with two physical ports, one of them split, PF and vnic ports besides. Switchdev by its nature. */
export function nfp(vfs: number): TreePf {
  const address = '0000:04:00.0';
  return {
    address,
    driver: 'nfp',
    ids: '19ee:4000',
    netdev: 'enp4s0np0',
    numa: 0,
    iommuGroup: 30,
    switchId: '00154d1234ab',
    portName: 'p0s0',
    ports: [
      { netdev: 'enp4s0np1', portName: 'p1' },
      { netdev: 'enp4s0npf0', portName: 'pf0' },
      { netdev: 'eth9', portName: 'n0' },
    ],
    vfs: times(vfs, (index) => ({
      address: vfAddress(address, index),
      index,
      driver: 'vfio-pci',
      ids: '19ee:6003',
      numa: 0,
      iommuGroup: 31 + index,
      representor: { netdev: `eth${20 + index}`, portName: `pf0vf${index}` },
    })),
  };
}

/** Mellanox ConnectX-6 Dx in switchdev mode: both PFs on one switch, representors named only by udev. `pf` is the PCI function, 0 or 1. */
export function mlx5(pf: 0 | 1, vfs: number): TreePf {
  const address = `0000:3b:00.${pf}`;
  return {
    address,
    driver: 'mlx5_core',
    ids: '15b3:101d',
    netdev: `ens1f${pf}np${pf}`,
    numa: 1,
    iommuGroup: 60 + pf,
    switchId: 'd4c2b30003a1420c',
    portName: `p${pf}`,
    vfs: times(vfs, (index) => ({
      address: `0000:3b:0${1 + pf}.${index}`,
      index,
      driver: 'mlx5_core',
      ids: '15b3:101e',
      numa: 1,
      iommuGroup: 100 + 20 * pf + index,
      netdev: `ens1f${pf}v${index}`,
      representor: { netdev: `rep${pf}x${9 - index}`, portName: `pf${pf}vf${index}` },
    })),
  };
}

/** Intel 82576 as QEMU emulates it: legacy VFs only, stride two, every VF alone in its IOMMU group, NUMA unknown on a flat machine. */
export function igb({ bus = '41', vfs = 7, netdev = 'enp65s0' }: { bus?: string; vfs?: number; netdev?: string } = {}): TreePf {
  return {
    address: `0000:${bus}:00.0`,
    driver: 'igb',
    ids: '8086:10c9',
    netdev,
    iommuGroup: 15,
    totalVfs: 7,
    vfs: times(vfs, (index) => ({
      address: `0000:${bus}:1${Math.floor(index / 4)}.${(index % 4) * 2}`,
      index,
      driver: 'igbvf',
      ids: '8086:10ca',
      netdev: `${netdev}v${index}`,
      iommuGroup: 16 + index,
    })),
  };
}

/** Intel E810 in legacy mode on a machine without an IOMMU. */
export function ice(vfs: number): TreePf {
  const address = '0000:b1:00.0';
  return {
    address,
    driver: 'ice',
    ids: '8086:1592',
    netdev: 'ens4f0',
    numa: 0,
    vfs: times(vfs, (index) => ({
      address: vfAddress(address, index),
      index,
      driver: 'iavf',
      ids: '8086:1889',
      numa: 0,
      netdev: `ens4f0v${index}`,
    })),
  };
}

/** VFs of a virtio PF (kernels from 4.18 on make them): the netdev belongs to the virtio device below the VF. */
export function virtio(vfs: number): TreePf {
  return {
    address: '0000:05:00.0',
    driver: 'virtio-pci',
    ids: '1af4:1041',
    netdev: 'ens5',
    vfs: times(vfs, (index) => ({
      address: `0000:05:00.${index + 1}`,
      index,
      driver: 'virtio-pci',
      ids: '1af4:1041',
      iommuGroup: 40 + index,
      netdev: `ens5v${index}`,
      below: `virtio${7 + index}`,
    })),
  };
}
