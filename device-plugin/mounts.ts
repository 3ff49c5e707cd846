// The directories of the node in which the plugin works. In its container they are mounts. When one was removed on the node and made again
// since the container started, the container still sees the old one, which is dead.
import { join } from 'node:path';
import type { Machine } from '../host/base/machine.ts';
import { isRemoved } from '../host/files/removed.ts';
import { socketDirectory } from '../host/forwarder/forwarder.ts';
import { onHost } from '../host/kernel/sysfs.ts';
import { quarantineDir } from '../host/nic/quarantine.ts';
import { deviceInfoDir } from '../inventory/files/device-info.ts';

const ofKubelet = ['device-plugins', 'plugins_registry', 'pod-resources'] as const;

/** The dead ones, with their paths as the machine sees them. */
export function deadMounts(host: Machine, kubeletDir: string): readonly string[] {
  return [...ofKubelet.map((name) => join(kubeletDir, name)), quarantineDir, deviceInfoDir, socketDirectory].filter((path) =>
    isRemoved(onHost(host, path)),
  );
}
