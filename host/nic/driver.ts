// Which driver a PCI function is bound to, and how to bind it to another one. Every step can be repeated without harm, so that work which
// a crash interrupted can be finished. Source: Documentation/ABI/testing/sysfs-bus-pci (driver_override, unbind, drivers_probe).
import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../base/errors.ts';
import type { Machine, Stepping } from '../base/machine.ts';
import { SystemError } from '../kernel/libc.ts';
import { existsOnHost, findLinkName, listDirectory, onHost, readText } from '../kernel/sysfs.ts';
import { openDeviceFile, readDeviceFile, writeDeviceFile } from './device-file.ts';
import { isAtVfio } from './vfio-driver.ts';

/** The driver that a function is bound to. */
export interface Binding {
  /** Absent: no driver. */
  readonly driver?: string;
  /** The only driver that may take the function; absent: any driver that fits. */
  readonly override?: string;
}

const devices = '/sys/bus/pci/devices';
const drivers = '/sys/bus/pci/drivers';
/** Milliseconds until a driver must have taken a device, or let it go. */
const settling = 3000;

/** Only the driver's name, which the kernel tells at once. Undefined when the function does not exist (any more). */
export function findBinding(host: Machine, address: string): Omit<Binding, 'override'> | undefined {
  const folder = onHost(host, `${devices}/${address}`);
  if (!existsOnHost(folder)) return undefined;
  const driver = findLinkName(`${folder}/driver`);
  return driver === undefined ? {} : { driver };
}

/**
 * Undefined when the function does not exist (any more). @throws Unavailable while the kernel is busy with it, because the kernel tells the
 * override only when no driver is starting or letting go.
 */
export async function readBinding(host: Machine, address: string): Promise<Binding | undefined> {
  const binding = findBinding(host, address);
  if (binding === undefined) return undefined;
  const override = await readDeviceFile(host, overrideOf(address)).catch((error: unknown) => {
    if (!(error instanceof SystemError && gone.has(error.code))) throw error;
  });
  const none = override === undefined || override === '' || override === '(null)';
  return none ? binding : { ...binding, override };
}

function overrideOf(address: string) {
  return { address, path: `${devices}/${address}/driver_override` };
}

const gone: ReadonlySet<string> = new Set(['ENOENT', 'ENODEV']);

/** Binds the function to that driver and no other. @throws Error when the driver is not loaded or refuses; Unavailable while it is in use. */
export async function bindDriver(host: Machine & Stepping, address: string, driver: string): Promise<void> {
  const now = findBinding(host, address);
  if (now === undefined) throw new Error(`bind ${address} to ${driver}: there is no such PCI device`);
  if (now.driver === driver) return;
  if (!existsOnHost(onHost(host, `${drivers}/${driver}`))) {
    throw new Error(`bind ${address} to ${driver}: the kernel has no such driver loaded; modprobe ${driver}`);
  }
  // The override comes first. Otherwise another driver could take the function between unbinding and probing.
  await writeDeviceFile(host, overrideOf(address), driver);
  host.step('driver override set');
  await unbind(host, address);
  await writeDeviceFile(host, { address, path: '/sys/bus/pci/drivers_probe' }, address);
  await until(
    () => findBinding(host, address)?.driver === driver,
    () => {
      const taken = findBinding(host, address)?.driver;
      return `bind ${address} to ${driver}: it is bound to ${taken ?? 'no driver'} instead; the kernel log (dmesg) may say why`;
    },
  );
}

/** Restores an earlier binding. A function that is gone needs nothing. @throws like bindDriver. */
export async function restoreBinding(host: Machine & Stepping, address: string, { driver, override }: Binding): Promise<void> {
  if (findBinding(host, address) === undefined) return;
  // With sriov_drivers_autoprobe off, a driver takes only functions that are overridden to it. So the override is set while binding.
  if (driver === undefined) await unbind(host, address);
  else await bindDriver(host, address, driver);
  if ((await readBinding(host, address))?.override !== override) {
    await writeDeviceFile(host, overrideOf(address), override ?? '\n');
  }
}

/** Makes the function as its driver makes it, bound as it is now. The driver reads its settings again at its start. */
export async function rebind(host: Machine & Stepping, address: string): Promise<void> {
  const before = await readBinding(host, address);
  if (before?.driver === undefined) throw new Error(`bind ${address} anew: it is bound to no driver`);
  await renew(host, address, before);
}

/** The same with an earlier binding. Nothing that somebody did to the function or to its netdev outlives it. */
export async function renew(host: Machine & Stepping, address: string, binding: Binding): Promise<void> {
  if (findBinding(host, address) === undefined) return;
  await unbind(host, address);
  await resetFunction(host, address);
  await restoreBinding(host, address, binding);
}

/**
 * By a function-level reset (FLR), where the function has it: other resets could reach its neighbours. It clears what the driver's start might
 * leave. A refused one is no failure, because the driver starts anew in any case. Kernels before 5.15 do not name the methods; VFs must have FLR.
 */
async function resetFunction(host: Machine, address: string): Promise<void> {
  const folder = `${devices}/${address}`;
  const methods = readText(onHost(host, `${folder}/reset_method`));
  if (!existsOnHost(onHost(host, `${folder}/reset`)) || (methods !== undefined && !/\bflr\b/.test(methods))) return;
  await writeDeviceFile(host, { address, path: `${folder}/reset` }, '1', `reset ${address}`).catch((error: unknown) => {
    if (!(error instanceof SystemError)) throw error;
  });
}

async function unbind(host: Machine & Stepping, address: string): Promise<void> {
  const driver = findBinding(host, address)?.driver;
  if (driver === undefined) return;
  await requireUnused(host, address, driver);
  const attempt = `unbind ${address} from ${driver}`;
  await writeDeviceFile(host, { address, path: `${drivers}/${driver}/unbind` }, address, attempt).catch((error: unknown) => {
    if (error instanceof Unavailable) throw new Unavailable(`${error.message}; does a process still use it?`, { cause: error });
    // Somebody else was faster, or the device is going away.
    if (findBinding(host, address)?.driver === driver) throw error;
  });
  await until(
    () => findBinding(host, address)?.driver === undefined,
    () => `unbind ${address} from ${driver}: it stays bound`,
  );
  host.step('driver unbound');
}

/** vfio lets go only when its user does, and a write would wait for that. A group can be opened only once, so opening it shows its use. */
async function requireUnused(host: Machine, address: string, driver: string): Promise<void> {
  const [vfioDevice] = listDirectory(onHost(host, `${devices}/${address}/vfio-dev`));
  const group = isAtVfio({ driver, vfioDevice }) ? findLinkName(onHost(host, `${devices}/${address}/iommu_group`)) : undefined;
  if (group === undefined) return;
  const path = `/dev/vfio/${group}`;
  if (!existsOnHost(onHost(host, path))) return; // as in a container that is not privileged
  await openDeviceFile(host, { address, path }).catch((error: unknown) => {
    if (error instanceof Unavailable) throw error;
    if (!(error instanceof SystemError && error.code === 'EBUSY')) return;
    throw new Unavailable(`unbind ${address} from ${driver}: a process has ${path} open (fuser ${path}); end it first`);
  });
}

/** A driver may finish in the background, so this looks again and again. */
async function until(holds: () => boolean, problem: () => string): Promise<void> {
  for (const end = performance.now() + settling; !holds(); await sleep(10)) {
    if (performance.now() > end) throw new Error(problem());
  }
}
