// Whether a pod has processes on this machine, as the kernel's cgroups (version 2) tell it. Needs no pid namespace of the host.
import { join } from 'node:path';
import type { Machine } from '../base/machine.ts';
import { listDirectory, onHost, readText } from './sysfs.ts';

/** Folders above kubelet's own that are searched: kubelet's --cgroup-root, as in kubelet.slice/kubelet-kubepods.slice. */
const depth = 2;

/**
 * False also where kubelet makes no cgroups for pods, or they are not to be seen from here. Example of a pod's cgroup:
 * /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<UID with _ for ->.slice with systemd,
 * /sys/fs/cgroup/kubepods/burstable/pod<UID> without.
 */
export function hasProcesses(host: Machine, podUid: string): boolean {
  const ends = [`pod${podUid}`, `pod${podUid.replaceAll('-', '_')}.slice`];
  return podsFolders(onHost(host, '/sys/fs/cgroup'), depth)
    .flatMap((folder) => [folder, ...childrenOf(folder).filter((child) => /(burstable|besteffort)(\.slice)?$/.test(child))])
    .flatMap(childrenOf)
    .filter((folder) => ends.some((end) => folder.endsWith(end)))
    .some((folder) => /^populated 1$/m.test(readText(join(folder, 'cgroup.events')) ?? ''));
}

function podsFolders(folder: string, deeper: number): readonly string[] {
  const children = childrenOf(folder);
  const found = children.filter((child) => /kubepods(\.slice)?$/.test(child));
  return found.length > 0 || deeper === 0 ? found : children.flatMap((child) => podsFolders(child, deeper - 1));
}

function childrenOf(folder: string): readonly string[] {
  return listDirectory(folder).map((name) => join(folder, name));
}
