// Where one vf sits: its pf, the pf's uplink, and the netdev that stands for it on the pf's switch. Read when a pod is plugged; the whole
// machine is host/nic/nics.ts' business.
import { defined } from '../base/defined.ts';
import type { Machine } from '../base/machine.ts';
import { findFamily } from '../netlink/wire/generic.ts';
import { openErrandSession } from '../netlink/wire/session.ts';
import { protocols } from '../netlink/wire/socket.ts';
import { findEswitchMode, listPortsOf } from './devlink.ts';
import { findUplink, mergePorts } from './nics.ts';
import { findVf, type PciVf } from './pci.ts';
import { findRepresentor, type SwitchPort } from './representor.ts';
import { readSwitchPorts } from './switch-ports.ts';
import type { EswitchMode } from './vf.ts';

export interface VfPlace {
  readonly vf: PciVf;
  /** PCI address of its pf. */
  readonly pf: string;
  /** The pf's own netdev; absent when it has none here. */
  readonly uplink?: string;
  /** Absent: not told, as by NICs that have no switch to speak of. */
  readonly eswitchMode?: EswitchMode;
  readonly representor?: string;
}

/** Undefined when there is no vf at that address. @throws NetlinkError, and Error naming what can't be read of it */
export async function locateVf(host: Machine, address: string): Promise<VfPlace | undefined> {
  const found = findVf(host, address);
  if (found === undefined) return undefined;
  const { vf, pf } = found;
  const unread: string[] = [];
  const seen = readSwitchPorts(host, new Set(vf.netdevs), ({ words }) => unread.push(words));
  const { ports, eswitchMode } = await askDevlink(pf.address, seen);
  const uplink = findUplink(pf, ports);
  const own = ports.filter(({ parent }) => parent === pf.address);
  const switchId = (own.find(({ netdev }) => netdev === uplink) ?? own[0])?.switchId;
  const representor = findRepresentor({ pf: pf.address, index: vf.index, ...defined({ switchId }) }, ports);
  // It may be the one netdev that can't be read.
  if (representor === undefined && unread.length > 0)
    throw new Error(`look for the representor of VF ${address}: ${unread.join('; ')}`);
  return { vf, pf: pf.address, ...defined({ uplink, eswitchMode, representor }) };
}

interface Switch {
  readonly ports: readonly SwitchPort[];
  readonly eswitchMode?: EswitchMode;
}

async function askDevlink(pf: string, seen: readonly SwitchPort[]): Promise<Switch> {
  using session = openErrandSession({ protocol: protocols.generic });
  const devlink = await findFamily(session, 'devlink');
  if (devlink === undefined) return { ports: seen };
  const eswitchMode = await findEswitchMode(devlink, pf);
  // Listing all ports of a big NIC takes its time, and only one with a switch has any that matter.
  const told = eswitchMode === 'switchdev' ? await listPortsOf(devlink, pf) : [];
  return { ports: mergePorts(seen, told), ...defined({ eswitchMode }) };
}
