// Small synchronous readers for /sys and /proc. What is absent is undefined (or empty); every other failure is thrown with its path.
// They are synchronous on purpose: sysfs answers from memory, and a scan of 512 VFs consists of many small reads.
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Machine } from '../base/machine.ts';

/** Where a path of the machine, e.g. `/sys/class/net`, lies below `host.root`. */
export function onHost(host: Machine, path: string): string {
  return join(host.root, path);
}

/** The file's text without surrounding white space; undefined when the file does not exist or the kernel says that it has no value. */
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

/** Like listDirectory, but undefined when the directory is absent. */
export function findDirectory(path: string): readonly string[] | undefined {
  return orAbsent(path, 'list', () => readdirSync(path));
}

/** The target of a symbolic link as it is written in the link; undefined when there is no such link. */
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
 * The file is absent, or the kernel says so: ENOTDIR and ENODEV while a device goes away, EOPNOTSUPP when a driver has no such
 * attribute (`phys_port_name` of a veth), EINVAL when the attribute has no value now (`speed` of a link that is down).
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
