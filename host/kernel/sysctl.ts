// The kernel's settings of a network namespace, /proc/sys/net. Read first, and written only where they differ: a container's runtime mounts
// /proc/sys read-only. The files always show the network namespace of the thread that opens them.
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { codeOf } from '../base/errors.ts';
import type { Machine } from '../base/machine.ts';
import { existsOnHost, onHost } from './sysfs.ts';

/** The node's own /proc/sys/net, which deploy/base mounts there and which can be written. */
const ofTheNode = '/mnt/proc/sys/net';

/**
 * Gives a setting of the calling thread's network namespace this value, e.g. `ipv6/conf/net1/disable_ipv6` the value `0`.
 * @returns false when the kernel has no such setting. @throws Error naming the setting and what to do.
 */
export function setNetSetting(name: string, value: string): boolean {
  const own = `/proc/sys/net/${name}`;
  try {
    if (readFileSync(own, 'utf8').trim() !== value) write(own, `${ofTheNode}/${name}`, value);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Whether IPv6 can be switched on in a pod from here. `none`: the kernel has no IPv6. `locked`: its settings can't be written. */
export function ipv6Here(machine: Machine): 'ready' | 'none' | 'locked' {
  const setting = 'ipv6/conf/all/disable_ipv6';
  const paths = [`/proc/sys/net/${setting}`, `${ofTheNode}/${setting}`].map((path) => onHost(machine, path));
  if (!paths.some(existsOnHost)) return 'none';
  return paths.some(isWritable) ? 'ready' : 'locked';
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function write(own: string, fallback: string, value: string): void {
  try {
    writeFileSync(own, value);
  } catch (error) {
    if (codeOf(error) !== 'EROFS') throw error;
    writeToNode(own, fallback, value);
  }
}

function writeToNode(own: string, fallback: string, value: string): void {
  try {
    writeFileSync(fallback, value);
  } catch (cause) {
    throw new Error(
      `write ${value} to ${own}: it is mounted read-only here, and ${fallback} can't be written either (${codeOf(cause)}); ` +
        `mount the node's /proc/sys/net at ${ofTheNode}, as deploy/base does`,
      { cause },
    );
  }
}
