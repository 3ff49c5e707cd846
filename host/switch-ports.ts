// Reads every netdev that is a port of some NIC's switch from /sys/class/net. What they mean is host/representor.ts' business.
import type { Host } from './host.ts';
import { parsePortName, type SwitchPort } from './representor.ts';
import { findLinkName, listDirectory, onHost, readText } from './sysfs.ts';

/**
 * Netdevs with a `phys_switch_id` (source: Documentation/networking/switchdev.rst).
 * @param vfs - the vfs' own netdevs, which are left out unread: they are no switch ports and there are many of them.
 */
export function readSwitchPorts(host: Pick<Host, 'root'>, vfs: ReadonlySet<string>): readonly SwitchPort[] {
  const folder = onHost(host, '/sys/class/net');
  return listDirectory(folder).flatMap((netdev) => {
    const port = vfs.has(netdev) ? undefined : readPort(`${folder}/${netdev}`, netdev);
    if (port === undefined) return [];
    const parent = findLinkName(`${folder}/${netdev}/device`);
    return [parent === undefined ? port : { ...port, parent }];
  });
}

function readPort(folder: string, netdev: string): SwitchPort | undefined {
  const switchId = readText(`${folder}/phys_switch_id`); // e.g. `00154d1234ab`; EOPNOTSUPP on a netdev of no switch
  if (switchId === undefined || switchId === '') return undefined;
  return { netdev, switchId, name: parsePortName(readText(`${folder}/phys_port_name`) ?? ''), devlink: false };
}
