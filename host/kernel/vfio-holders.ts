// Which processes have a vfio group or device open, read from /proc/PID/fd. To see all processes it needs the host's pid namespace and CAP_SYS_PTRACE.

import type { Machine } from '../base/machine.ts';
import { inTurns, type Steps } from '../base/turns.ts';
import { listDirectory, onHost, readLink, readText } from './sysfs.ts';

export interface VfioHolders {
  /** By device file, `/dev/vfio/42`: `qemu-kvm (pid 77)`. */
  readonly holders: ReadonlyMap<string, readonly string[]>;
  /** How many processes could not be looked at. */
  readonly hidden: number;
}

/** Works in turns, because a busy node has 50 000 descriptors. */
export function readVfioHolders(host: Machine): Promise<VfioHolders> {
  return inTurns(holderSteps(host));
}

function* holderSteps(host: Machine): Steps<VfioHolders> {
  const holders = new Map<string, readonly string[]>();
  let hidden = 0;
  for (const pid of listDirectory(onHost(host, '/proc')).filter((name) => /^\d+$/.test(name))) {
    const files = openVfioFiles(onHost(host, `/proc/${pid}/fd`));
    if (files === 'hidden') hidden += 1;
    else for (const file of files) holders.set(file, [...(holders.get(file) ?? []), `${nameOf(host, pid)} (pid ${pid})`]);
    yield;
  }
  return { holders, hidden };
}

function openVfioFiles(folder: string): ReadonlySet<string> | 'hidden' {
  try {
    const targets = listDirectory(folder).flatMap((fd) => readLink(`${folder}/${fd}`) ?? []);
    // Everybody opens /dev/vfio/vfio, the container; it says nothing about a device.
    return new Set(targets.filter((target) => target.startsWith('/dev/vfio/') && target !== '/dev/vfio/vfio'));
  } catch {
    return 'hidden'; // EACCES: without CAP_SYS_PTRACE only our own processes show theirs
  }
}

function nameOf(host: Machine, pid: string): string {
  return readText(onHost(host, `/proc/${pid}/comm`)) ?? 'a process that is gone';
}
