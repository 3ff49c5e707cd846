// Small synchronous readers for /sys and /proc: what is absent is undefined (or empty), everything else that fails is thrown with its path.
// Synchronous on purpose: sysfs answers from memory, and a scan of 512 VFs is many small reads.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Machine } from '../base/machine.ts';

/** A path of the machine below `host.root`; `path` is as the machine sees it, e.g. `/sys/class/net`. */
export function onHost(host: Machine, path: string): string {
  return join(host.root, path);
}

/** The file's text without white space around it; undefined when there is no such file or the kernel says that it has no value. */
export function readText(path: string): string | undefined {
  return orAbsent(path, 'read', () => readFileSync(path, 'utf8').trim());
}

/** A decimal integer. Throws when the file holds something else. */
export function readInteger(path: string): number | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new Error(`${path} holds ${JSON.stringify(text)} where a number was expected`);
}

/** Names in a directory, in the kernel's order; empty when it is absent. */
export function listDirectory(path: string): readonly string[] {
  return findDirectory(path) ?? [];
}

/** As listDirectory, but undefined when it is absent. */
export function findDirectory(path: string): readonly string[] | undefined {
  return orAbsent(path, 'list', () => readdirSync(path));
}

/** A symbolic link's target as it stands there; undefined when there is no such link. */
export function readLink(path: string): string | undefined {
  return orAbsent(path, 'follow', () => readlinkSync(path));
}

/** The last part of a symbolic link's target, e.g. `igbvf` of `driver -> ../../../bus/pci/drivers/igbvf`. */
export function findLinkName(path: string): string | undefined {
  const target = readLink(path);
  return target === undefined ? undefined : basename(target);
}

/** Whether there is anything at the path. Cheaper than a read that fails. */
export function existsOnHost(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * Absent, or so the kernel says: ENOTDIR and ENODEV while a device is just going away, EOPNOTSUPP where a driver has no such
 * attribute (`phys_port_name` of a veth), EINVAL where it has none now (`speed` of a link that is down).
 */
const absent: ReadonlySet<unknown> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ENODEV',
  'ENXIO',
  'EOPNOTSUPP',
  'ENOTSUP',
  'EINVAL',
  'ESRCH',
]);

function orAbsent<T>(path: string, verb: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (absent.has(code)) return undefined;
    throw new Error(`cannot ${verb} ${path}: ${String(code ?? cause)}`, { cause });
  }
}
