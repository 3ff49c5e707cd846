// The ways to hand over a VF, and the drivers from which ADD can take a VF for each.

/** With `vfio-pci`, user space drives the VF. With `kernel`, the kernel drives it, and its netdev moves into the pod. */
export const vfDrivers = ['vfio-pci', 'kernel'] as const;
export type VfDriver = (typeof vfDrivers)[number];

/** Drivers that hand a function to user space or to another guest. A VF bound to one of them is in use, or has no netdev. */
const userDrivers = /^(.*vfio-pci|uio_pci_generic|igb_uio|pci-stub|pciback|xen-pciback)$/;

/** ADD binds a VF from its own netdev driver (or from none) to vfio-pci. ADD moves a netdev, but does not create one. */
export function canTake(bound: string | undefined, driver: VfDriver): boolean {
  if (driver === 'kernel') return bound !== undefined && !userDrivers.test(bound);
  return bound === undefined || bound.endsWith('vfio-pci') || !userDrivers.test(bound);
}
