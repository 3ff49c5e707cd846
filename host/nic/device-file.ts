// Files of a PCI function in sysfs in which the kernel may hold a reader or writer: each access waits until the function's driver has started
// or let go, and a driver lets go only when its user does. So a process of its own (an errand) does it, one at a time for each function.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Machine } from '../base/machine.ts';
import { onHost } from '../kernel/sysfs.ts';
import { type Errand, goErrand } from '../program/errand.ts';

export interface DeviceFile {
  /** The PCI address of the file's function. Its errands go one at a time. */
  readonly address: string;
  /** The path as the machine sees it. The file is never created: when it is missing, the kernel has no such thing. */
  readonly path: string;
}

/** Milliseconds that the kernel gets. Most drivers let go in less than one second. */
const patience = 10_000;
/** In memory, so that a driver can be changed even when the disk is full. An old server and its successor both see it. */
const notes = '/run/smartnic/errands';

/** @throws SystemError when the kernel refuses; Unavailable when it does not answer, or when an earlier errand to this function has not ended. */
export async function writeDeviceFile(host: Machine, file: DeviceFile, text: string, attempt?: string): Promise<void> {
  await go(host, file, { attempt: attempt ?? `write ${JSON.stringify(text)} to ${file.path}`, verb: 'write', input: text });
}

/** Resolves with the file's text, without white space around it. @throws like writeDeviceFile. */
export async function readDeviceFile(host: Machine, file: DeviceFile): Promise<string> {
  return (await go(host, file, { attempt: `read ${file.path}`, verb: 'read' })).toString().trim();
}

/** Opens the file for reading and writing, and closes it. @throws like writeDeviceFile. */
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
