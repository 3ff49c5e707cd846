// Where one VF is: its PF, the PF's uplink, and the VF's representor on the PF's switch. This is read when a pod is plugged.
// host/nic/nics.ts reads the whole machine.
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
  /** PCI address of its PF. */
  readonly pf: string;
  /** The PF's own netdev; absent when it has none here. */
  readonly uplink?: string;
  /** Absent: the kernel does not tell, as for NICs without a real switch. */
  readonly eswitchMode?: EswitchMode;
  readonly representor?: string;
}

/** Undefined when there is no VF at that address. @throws NetlinkError; Error naming what can't be read about the VF. */
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
  // The netdev that can't be read may be the representor.
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
  // Listing all ports of a big NIC takes long, and only a NIC in switchdev mode has ports that matter.
  const told = eswitchMode === 'switchdev' ? await listPortsOf(devlink, pf) : [];
  return { ports: mergePorts(seen, told), ...defined({ eswitchMode }) };
}
