// The directories of the node that the plugin works in. In its container they are mounts, and one that was removed on the node and made anew
// since the container began is dead here.
import { join } from 'node:path';
import type { Machine } from '../host/base/machine.ts';
import { isRemoved } from '../host/files/removed.ts';
import { socketDirectory } from '../host/forwarder/forwarder.ts';
import { onHost } from '../host/kernel/sysfs.ts';
import { quarantineDir } from '../host/nic/quarantine.ts';
import { deviceInfoDir } from '../inventory/files/device-info.ts';

const ofKubelet = ['device-plugins', 'plugins_registry', 'pod-resources'] as const;

/** Those that are dead, as the machine sees them. */
export function deadMounts(host: Machine, kubeletDir: string): readonly string[] {
  return [...ofKubelet.map((name) => join(kubeletDir, name)), quarantineDir, deviceInfoDir, socketDirectory].filter((path) =>
    isRemoved(onHost(host, path)),
  );
}
