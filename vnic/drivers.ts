// How a VF is handed over, and from which drivers ADD can take one for that.

/** User space drives it, through vfio-pci; or the kernel does, and its netdev moves into the pod. */
export const vfDrivers = ['vfio-pci', 'kernel'] as const;
export type VfDriver = (typeof vfDrivers)[number];

/** Drivers that hand a function to user space, or to another guest: the VF is somebody's, or has no netdev. */
const userDrivers = /^(.*vfio-pci|uio_pci_generic|igb_uio|pci-stub|pciback|xen-pciback)$/;

/** ADD binds a VF from its own netdev driver (or from none) to vfio-pci. It moves a netdev, but makes none. */
export function canTake(bound: string | undefined, driver: VfDriver): boolean {
  if (driver === 'kernel') return bound !== undefined && !userDrivers.test(bound);
  return bound === undefined || bound.endsWith('vfio-pci') || !userDrivers.test(bound);
}
