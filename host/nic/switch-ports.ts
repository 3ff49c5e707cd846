// Reads every netdev that is a port of some NIC's switch from /sys/class/net. host/nic/representor.ts says what they mean.

import type { Machine } from '../base/machine.ts';
import { atOnce, inTurns, type Steps } from '../base/turns.ts';
import { type Report, readOr } from '../base/unread.ts';
import { findLinkName, listDirectory, onHost, readText } from '../kernel/sysfs.ts';
import { parsePortName, type SwitchPort } from './representor.ts';

/**
 * Netdevs with a `phys_switch_id` (source: Documentation/networking/switchdev.rst). A netdev that can't be read is reported and left out.
 * @param vfs - the VFs' own netdevs. They are not read, because they are no switch ports and there are many of them.
 */
export function readSwitchPorts(host: Machine, vfs: ReadonlySet<string>, report: Report): readonly SwitchPort[] {
  return atOnce(portSteps(host, vfs, report));
}

/** Does the same as readSwitchPorts, but lets other work run in between. */
export function readSwitchPortsInTurns(host: Machine, vfs: ReadonlySet<string>, report: Report): Promise<readonly SwitchPort[]> {
  return inTurns(portSteps(host, vfs, report));
}

function* portSteps(host: Machine, vfs: ReadonlySet<string>, report: Report): Steps<readonly SwitchPort[]> {
  const folder = onHost(host, '/sys/class/net');
  const ports: SwitchPort[] = [];
  for (const netdev of listDirectory(folder)) {
    yield;
    const port = vfs.has(netdev) ? undefined : readOr(report, {}, () => readPort(`${folder}/${netdev}`, netdev));
    if (port !== undefined) ports.push(port);
  }
  return ports;
}

function readPort(folder: string, netdev: string): SwitchPort | undefined {
  const switchId = readText(`${folder}/phys_switch_id`); // e.g. `00154d1234ab`; a netdev that is on no switch gives EOPNOTSUPP
  if (switchId === undefined || switchId === '') return undefined;
  const parent = findLinkName(`${folder}/device`);
  const name = parsePortName(readText(`${folder}/phys_port_name`) ?? '');
  return { netdev, switchId, name, devlink: false, ...(parent !== undefined && { parent }) };
}
