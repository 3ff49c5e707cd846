// Reads every netdev that is a port of some NIC's switch from /sys/class/net. What they mean is host/nic/representor.ts' business.

import type { Machine } from '../base/machine.ts';
import { atOnce, inTurns, type Steps } from '../base/turns.ts';
import { type Report, readOr } from '../base/unread.ts';
import { findLinkName, listDirectory, onHost, readText } from '../kernel/sysfs.ts';
import { parsePortName, type SwitchPort } from './representor.ts';

/**
 * Netdevs with a `phys_switch_id` (source: Documentation/networking/switchdev.rst). One that can't be read is reported and missing.
 * @param vfs - the vfs' own netdevs, which are left out unread: they are no switch ports and there are many of them.
 */
export function readSwitchPorts(host: Machine, vfs: ReadonlySet<string>, report: Report): readonly SwitchPort[] {
  return atOnce(portSteps(host, vfs, report));
}

/** As readSwitchPorts, but lets others run in between. */
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
  const switchId = readText(`${folder}/phys_switch_id`); // e.g. `00154d1234ab`; EOPNOTSUPP on a netdev of no switch
  if (switchId === undefined || switchId === '') return undefined;
  const parent = findLinkName(`${folder}/device`);
  const name = parsePortName(readText(`${folder}/phys_port_name`) ?? '');
  return { netdev, switchId, name, devlink: false, ...(parent !== undefined && { parent }) };
}
