// Which drivers are vfio. Pure. Everybody who asks whether user space may drive a VF, or already does, asks here.

/** What tells it about a function: the driver that it is bound to, and its `vfio-dev` in sysfs. */
export interface VfioSigns {
  readonly driver?: string | undefined;
  /** Only a function at vfio has one (kernels from 6.1 on), whatever its driver is called. */
  readonly vfioDevice?: string | undefined;
}

/**
 * `vfio-pci` and its variants. A variant that is compiled as a module has underscores in sysfs, e.g. `mlx5_vfio_pci`, `nvgrace_gpu_vfio_pci`;
 * people write the module's name, `mlx5-vfio-pci`, too.
 */
export function isVfioDriver(name: string | undefined): boolean {
  return name !== undefined && /^(?:.*[-_])?vfio[-_]pci$/.test(name);
}

/** Whether the function is in user space's hands by vfio. */
export function isAtVfio({ driver, vfioDevice }: VfioSigns): boolean {
  return vfioDevice !== undefined || isVfioDriver(driver);
}
