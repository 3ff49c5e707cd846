// Which driver a PCI function is bound to, and binding it to another one. Source: Documentation/ABI/testing/sysfs-bus-pci (driver_override,
// unbind, drivers_probe). Every step is done over again without harm, so that work that a crash cut short can be finished.
import { constants } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, Unavailable } from '../base/errors.ts';
import type { Machine, Stepping } from '../base/machine.ts';
import { existsOnHost, findLinkName, onHost, readText } from '../kernel/sysfs.ts';

/** What a function is bound to. */
export interface Binding {
  /** Absent: to none. */
  readonly driver?: string;
  /** The one driver that may take it; absent: whichever fits. */
  readonly override?: string;
}

const devices = '/sys/bus/pci/devices';
const drivers = '/sys/bus/pci/drivers';
/** Milliseconds for a driver to let go of a device. It takes one at once, but may be found to have done so a moment later. */
const [patience, settling] = [10_000, 3000];

/** Undefined when there is no such function (any more). */
export function findBinding(host: Machine, address: string): Binding | undefined {
  const folder = onHost(host, `${devices}/${address}`);
  if (!existsOnHost(folder)) return undefined;
  const [driver, override] = [findLinkName(`${folder}/driver`), readText(`${folder}/driver_override`)];
  const none = override === undefined || override === '' || override === '(null)';
  return { ...(driver === undefined ? {} : { driver }), ...(none ? {} : { override }) };
}

/** Binds the function to that driver alone. @throws Error when the driver is not loaded or does not take it; Unavailable while it is in use. */
export async function bindDriver(host: Machine & Stepping, address: string, driver: string): Promise<void> {
  const now = findBinding(host, address);
  if (now === undefined) throw new Error(`bind ${address} to ${driver}: there is no such PCI device`);
  if (now.driver === driver) return;
  if (!existsOnHost(onHost(host, `${drivers}/${driver}`))) {
    throw new Error(`bind ${address} to ${driver}: the kernel has no such driver loaded; modprobe ${driver}`);
  }
  // First the override: between unbinding and probing another driver could take it.
  await write(host, `${devices}/${address}/driver_override`, driver);
  host.step('driver override set');
  await unbind(host, address);
  await write(host, '/sys/bus/pci/drivers_probe', address);
  await until(
    () => findBinding(host, address)?.driver === driver,
    () => {
      const taken = findBinding(host, address)?.driver;
      return `bind ${address} to ${driver}: it is bound to ${taken ?? 'no driver'} instead; the kernel log (dmesg) may say why`;
    },
  );
}

/** Back to how it was. A function that is gone needs nothing. @throws as bindDriver. */
export async function restoreBinding(host: Machine & Stepping, address: string, { driver, override }: Binding): Promise<void> {
  if (findBinding(host, address) === undefined) return;
  // With sriov_drivers_autoprobe off a driver only takes what is meant for it alone, hence the override for the time of binding.
  if (driver === undefined) await unbind(host, address);
  else await bindDriver(host, address, driver);
  if (findBinding(host, address)?.override !== override) {
    await write(host, `${devices}/${address}/driver_override`, override ?? '\n');
  }
}

/** Lets the function's driver start anew, with what it is told at its start. */
export async function rebind(host: Machine & Stepping, address: string): Promise<void> {
  const before = findBinding(host, address);
  if (before?.driver === undefined) throw new Error(`bind ${address} anew: it is bound to no driver`);
  await unbind(host, address);
  await restoreBinding(host, address, before);
}

async function unbind(host: Machine & Stepping, address: string): Promise<void> {
  const driver = findBinding(host, address)?.driver;
  if (driver === undefined) return;
  await requireUnused(host, address, driver);
  const done = write(host, `${drivers}/${driver}/unbind`, address).catch((error: unknown) => {
    // Somebody else was faster, or the device is going away.
    if (findBinding(host, address)?.driver === driver) throw error;
  });
  const late = sleep(patience, 'late' as const, { ref: false });
  if ((await Promise.race([done, late])) === 'late') {
    throw new Unavailable(`unbind ${address} from ${driver}: the driver does not let go of it; does a process still use it?`);
  }
  await until(
    () => findBinding(host, address)?.driver === undefined,
    () => `unbind ${address} from ${driver}: it stays bound`,
  );
  host.step('driver unbound');
}

/** vfio lets go only when its user does, and the write would wait for that. A group can be opened once, so opening it tells. */
async function requireUnused(host: Machine, address: string, driver: string): Promise<void> {
  const group = driver.endsWith('vfio-pci') ? findLinkName(onHost(host, `${devices}/${address}/iommu_group`)) : undefined;
  if (group === undefined) return;
  const path = `/dev/vfio/${group}`;
  const file = await open(onHost(host, path), 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EBUSY') return undefined;
    throw new Unavailable(`unbind ${address} from ${driver}: a process has ${path} open (fuser ${path}); end it first`);
  });
  await file?.close();
}

async function write(host: Machine, path: string, text: string): Promise<void> {
  try {
    // Never made: a file that is missing says that the kernel has no such thing.
    await writeFile(onHost(host, path), text, { flag: constants.O_WRONLY | constants.O_TRUNC });
  } catch (error) {
    throw new Error(`write ${JSON.stringify(text)} to ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** A driver may finish in the background. */
async function until(holds: () => boolean, problem: () => string): Promise<void> {
  for (const end = performance.now() + settling; !holds(); await sleep(10)) {
    if (performance.now() > end) throw new Error(problem());
  }
}
