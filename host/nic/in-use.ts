// Why a VF that nobody allocated is not free: the host itself works with it. This file judges one VF. What concerns the whole machine is
// read once per scan.
import type { Machine } from '../base/machine.ts';
import { findLinkName, listDirectory, onHost } from '../kernel/sysfs.ts';
import type { PciVf } from './pci.ts';
import type { Use } from './use.ts';

/** How the machine uses its netdevs and its vfio groups. */
export interface HostUse extends Use {
  /** By device file, such as `/dev/vfio/42`: the processes that have it open, such as `qemu-kvm (pid 77)`. */
  readonly vfioHolders: ReadonlyMap<string, readonly string[]>;
}

/** Reasons in words; empty when the VF is free. */
export function inUse(host: Machine, vf: PciVf, use: HostUse): readonly string[] {
  const reasons = vf.netdevs.flatMap((netdev) => netdevReasons(host, netdev, use));
  if (vf.netdevElsewhere) reasons.push('its netdev is in another network namespace');
  return [
    ...reasons,
    ...vfioFiles(vf).flatMap((file) => (use.vfioHolders.get(file) ?? []).map((who) => `${file} is open in ${who}`)),
  ];
}

function netdevReasons(host: Machine, netdev: string, { addresses, routes, readers }: HostUse): string[] {
  const folder = onHost(host, `/sys/class/net/${netdev}`);
  const uppers = listDirectory(folder).filter((name) => name.startsWith('upper_'));
  const master = uppers.length > 0 ? findLinkName(`${folder}/master`) : undefined;
  const reader = readers.get(netdev);
  return [
    ...(addresses.get(netdev) ?? []).map((address) => `${netdev} has address ${address}`),
    ...(routes.get(netdev) ?? []).map((route) => `${netdev} has route ${route}`),
    ...(reader === undefined ? [] : [`${netdev} ${reader}`]),
    ...(master === undefined ? [] : [`${netdev} is a port of ${memberOf(host, master)}`]),
    ...uppers
      .map((name) => name.slice('upper_'.length))
      .filter((upper) => upper !== master)
      .map((upper) => `${upper} is built on ${netdev}`), // VLAN, macvlan, ipvlan
  ];
}

/** The openvswitch module calls its ports' master `ovs-system`, whatever the bridge is called. */
function memberOf(host: Machine, master: string): string {
  if (master === 'ovs-system') return 'Open vSwitch';
  const inside = listDirectory(onHost(host, `/sys/class/net/${master}`));
  if (inside.includes('bridge')) return `bridge ${master}`;
  return inside.includes('bonding') ? `bond ${master}` : master;
}

function vfioFiles({ iommuGroup, vfioDevice }: PciVf): readonly string[] {
  const group = iommuGroup && `/dev/vfio/${iommuGroup.noiommu ? 'noiommu-' : ''}${iommuGroup.id}`;
  const device = vfioDevice && `/dev/vfio/devices/${vfioDevice}`;
  return [group, device].filter((file) => file !== undefined);
}
