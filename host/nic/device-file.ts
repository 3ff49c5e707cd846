// Those files of a PCI function in sysfs that the kernel may keep their reader or writer in: each waits until the function's driver has
// started or let go, and a driver lets go when its user does. So an errand goes, one at a time for each function.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Machine } from '../base/machine.ts';
import { onHost } from '../kernel/sysfs.ts';
import { type Errand, goErrand } from '../program/errand.ts';

export interface DeviceFile {
  /** Of the function that the file is about, whose errands go one at a time. */
  readonly address: string;
  /** As the machine sees it. It is never made: one that is missing says that the kernel has no such thing. */
  readonly path: string;
}

/** Milliseconds for the kernel. Most drivers let go in less than one second. */
const patience = 10_000;
/** In memory, so that a full disk keeps no driver from being changed. Both an old server and a new one see it. */
const notes = '/run/smartnic/errands';

/** @throws SystemError when the kernel refuses; Unavailable when it does not answer, or an earlier errand to this function is still out. */
export async function writeDeviceFile(host: Machine, file: DeviceFile, text: string, attempt?: string): Promise<void> {
  await go(host, file, { attempt: attempt ?? `write ${JSON.stringify(text)} to ${file.path}`, verb: 'write', input: text });
}

/** Its text without white space around it. @throws as writeDeviceFile. */
export async function readDeviceFile(host: Machine, file: DeviceFile): Promise<string> {
  return (await go(host, file, { attempt: `read ${file.path}`, verb: 'read' })).toString().trim();
}

/** Opens it for reading and writing, and closes it. @throws as writeDeviceFile. */
export async function openDeviceFile(host: Machine, file: DeviceFile): Promise<void> {
  await go(host, file, { attempt: `open ${file.path}`, verb: 'open' });
}

async function go(
  host: Machine,
  { address, path }: DeviceFile,
  errand: Pick<Errand, 'attempt' | 'verb' | 'input'>,
): Promise<Buffer> {
  const folder = onHost(host, notes);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(`${errand.attempt}: ${messageOf(error)}`, { cause: error });
  }
  return await goErrand({ ...errand, object: onHost(host, path), note: join(folder, address), limit: patience });
}
