// The ways to hand over a VF, and the drivers from which ADD can take a VF for each.
import { isAtVfio, type VfioSigns } from '../host/nic/vfio-driver.ts';

/** With `vfio-pci`, user space drives the VF. With `kernel`, the kernel drives it, and its netdev moves into the pod. */
export const vfDrivers = ['vfio-pci', 'kernel'] as const;
export type VfDriver = (typeof vfDrivers)[number];

/** Drivers that hand a function to user space or to another guest. A VF bound to one of them is in use, or has no netdev. */
const userDrivers = /^(uio|uio_pci_generic|igb_uio|pci-stub|pciback|xen-pciback)$/;

/** Whether no pod ever gets a VF that is bound to this driver. Pods get no /dev/uio. */
export function isNeverOffered(driver: string): boolean {
  return userDrivers.test(driver);
}

/** ADD binds a VF from its own netdev driver, from a variant of vfio or from none to vfio-pci. ADD moves a netdev, but does not create one. */
export function canTake(bound: VfioSigns, way: VfDriver): boolean {
  const { driver } = bound;
  if (way === 'kernel') return driver !== undefined && !isAtVfio(bound) && !isNeverOffered(driver);
  return driver === undefined || !isNeverOffered(driver);
}
