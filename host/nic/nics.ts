// Composes what sysfs, devlink, ethtool and rtnetlink say into the machine's PFs and VFs. There are no rows for makers here: every maker met
// so far tells the same things in the same places.
import { defined } from '../base/defined.ts';
import type { Machine } from '../base/machine.ts';
import { inTurns, type Steps } from '../base/turns.ts';
import { type Report, readOr, type Unread } from '../base/unread.ts';
import { existsOnHost, onHost, readInteger } from '../kernel/sysfs.ts';
import { type HostUse, inUse } from './in-use.ts';
import { devices, type PciPf, type PciVf, readPfs } from './pci.ts';
import { findRepresentor, isLocalVf, type SwitchPort } from './representor.ts';
import { readSwitchPortsInTurns } from './switch-ports.ts';
import type { EswitchMode, Pf, Vf } from './vf.ts';

export interface Nics {
  /** Sorted by address. */
  readonly pfs: readonly Pf[];
  readonly vfs: readonly Vf[];
  /** What could not be read, in words. */
  readonly unread: readonly string[];
}

/** What only the kernel's network side can say. */
export interface KernelFacts extends HostUse {
  /** By the PF's PCI address; absent: the kernel does not tell. */
  readonly eswitchModes: ReadonlyMap<string, EswitchMode>;
  /** devlink's ports. */
  readonly ports: readonly SwitchPort[];
  /** By netdev; absent: the kernel does not tell. */
  readonly hwTcOffload: ReadonlyMap<string, boolean>;
  /** The questions that the kernel did not answer. The last answer is used in their place, if there was one. */
  readonly unread: readonly Unread[];
}

/** Asks the kernel about these PFs. `uplinks` are the netdevs of their wires. */
export type AskKernel = (pfs: readonly PciPf[], uplinks: readonly string[]) => Promise<KernelFacts>;

export interface ScanOptions {
  readonly ask: AskKernel;
  /** The addresses of the VFs that kubelet gave to a pod. Their use is not reported as use by the host. */
  readonly allocated: ReadonlySet<string>;
  /** The last scan. A function that can't be read keeps its state from there, as long as it is on the machine. */
  readonly before?: Nics | undefined;
}

/** Reads the whole machine once, and reports what can't be read. @throws Error when the machine can't list its PCI devices. */
export async function scanNics(host: Machine, { ask, allocated, before }: ScanOptions): Promise<Nics> {
  const unread: Unread[] = [];
  const report: Report = (one) => void unread.push(one);
  const pfs = await readPfs(host, report);
  const vfNetdevs = new Set(pfs.flatMap((pf) => pf.vfs.flatMap((vf) => vf.netdevs)));
  const seen = await readSwitchPortsInTurns(host, vfNetdevs, report);
  const facts = await ask(
    pfs,
    pfs.flatMap((pf) => findUplink(pf, seen) ?? []),
  );
  unread.push(...facts.unread);
  const ports = mergePorts(seen, facts.ports);
  const byIndex = Map.groupBy(ports, (port) => (port.name.kind === 'vf' ? port.name.vf : undefined)); // saves comparing every VF with every port
  const composed = pfs.map((pf) => composePf(host, pf, ports, facts, report));
  const vfs = await inTurns(vfSteps());
  return { ...keepUnread(host, { pfs: composed, vfs }, before, unread), unread: [...new Set(unread.map(({ words }) => words))] };

  function* vfSteps(): Steps<Vf[]> {
    const done: Vf[] = [];
    for (const [at, pf] of composed.entries()) {
      for (const vf of pfs[at]?.vfs ?? []) {
        yield;
        const { address } = vf;
        const reasons = allocated.has(address) ? [] : (readOr(report, { address }, () => inUse(host, vf, facts)) ?? []);
        done.push(composeVf(vf, pf, byIndex.get(vf.index) ?? [], reasons));
      }
    }
    return done;
  }
}

/** Marks the VFs that could not be read, and those of a PF that could not be read. The missing ones come from the last scan. */
function keepUnread(
  host: Machine,
  { pfs, vfs }: Pick<Nics, 'pfs' | 'vfs'>,
  before: Nics | undefined,
  unread: readonly Unread[],
): Pick<Nics, 'pfs' | 'vfs'> {
  const why = new Map(unread.map(({ address, words }) => [address, words]));
  if (why.size === 0) return { pfs, vfs: sorted(vfs) };
  const reasonFor = (vf: Vf) => why.get(vf.address) ?? why.get(vf.pf.address);
  const isThere = ({ address }: Pf | Vf) => existsOnHost(onHost(host, `${devices}/${address}`));
  const missing = <T extends Pf | Vf>(now: readonly T[], then: readonly T[]) => {
    const present = new Set(now.map(({ address }) => address));
    return then.filter((one) => !present.has(one.address) && isThere(one));
  };
  const lostPfs = missing(pfs, before?.pfs ?? []).filter(({ address }) => why.has(address));
  const lostVfs = missing(vfs, before?.vfs ?? []).filter((vf) => reasonFor(vf) !== undefined);
  return {
    pfs: sorted([...pfs, ...lostPfs]),
    vfs: sorted([...vfs, ...lostVfs].map((vf) => ({ ...vf, ...defined({ unread: reasonFor(vf) }) }))),
  };
}

function sorted<T extends Pf | Vf>(all: readonly T[]): readonly T[] {
  return [...all].sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** devlink's word about a netdev replaces the parsed name. Only sysfs has the switch id. */
export function mergePorts(seen: readonly SwitchPort[], told: readonly SwitchPort[]): readonly SwitchPort[] {
  const byNetdev = new Map(seen.map((port) => [port.netdev, port]));
  for (const port of told) byNetdev.set(port.netdev, { ...byNetdev.get(port.netdev), ...port });
  return [...byNetdev.values()];
}

function composePf(host: Machine, pf: PciPf, ports: readonly SwitchPort[], facts: KernelFacts, report: Report): Pf {
  const own = ports.filter((port) => port.parent === pf.address);
  const netdev = findUplink(pf, ports);
  const switchId = (own.find((port) => port.netdev === netdev) ?? own[0])?.switchId;
  const hwTcOffload = netdev === undefined ? undefined : facts.hwTcOffload.get(netdev);
  const type = () => (netdev === undefined ? undefined : readInteger(onHost(host, `/sys/class/net/${netdev}/type`)));
  const linkType = linkTypes[readOr(report, {}, type) ?? -1];
  const eswitchMode = facts.eswitchModes.get(pf.address) ?? guessMode(pf, ports, switchId);
  return {
    address: pf.address,
    vendor: pf.vendor,
    device: pf.device,
    numVfs: pf.numVfs,
    totalVfs: pf.totalVfs,
    ...defined({ netdev, driver: pf.driver, numaNode: pf.numaNode, linkType, eswitchMode, hwTcOffload, switchId }),
  };
}

/** In switchdev mode the representors are netdevs of the PF, too. The uplink is the netdev that is a physical port, or no port of the switch. */
export function findUplink(pf: Pick<PciPf, 'address' | 'netdevs'>, ports: readonly SwitchPort[]): string | undefined {
  const own = ports.filter((port) => port.parent === pf.address);
  const physical = own
    .flatMap((port) =>
      port.name.kind === 'physical' ? [{ netdev: port.netdev, port: port.name.port, split: port.name.split ?? 0 }] : [],
    )
    .sort((a, b) => a.port - b.port || a.split - b.split);
  // An nfp card has the netdevs `pf0` and `n0` besides its physical ports. Neither of the two is the wire.
  const outside = pf.netdevs.find((netdev) => own.every((port) => port.netdev !== netdev));
  return physical[0]?.netdev ?? outside ?? onlyOne(pf.netdevs) ?? onlyOne(own.filter(isNameless).map(({ netdev }) => netdev));
}

/** Old drivers give their representors a `phys_port_name`, and their uplink only the switch's id. */
function isNameless({ name }: SwitchPort): boolean {
  return name.kind === 'other' && name.text === '';
}

function onlyOne(netdevs: readonly string[]): string | undefined {
  return netdevs.length === 1 ? netdevs[0] : undefined;
}

/** Used when devlink does not tell the mode, or not to us. Representors of VFs prove switchdev. Without a switch the mode can only be legacy. */
function guessMode(pf: PciPf, ports: readonly SwitchPort[], switchId: string | undefined): EswitchMode | undefined {
  const shown = ports.some(
    (port) => isLocalVf(port) && (port.parent === pf.address || (switchId !== undefined && port.switchId === switchId)),
  );
  if (shown) return 'switchdev';
  return switchId === undefined ? 'legacy' : undefined;
}

function composeVf(vf: PciVf, pf: Pf, ports: readonly SwitchPort[], reasons: readonly string[]): Vf {
  const representor = findRepresentor({ pf: pf.address, index: vf.index, ...defined({ switchId: pf.switchId }) }, ports);
  const { address, index, vendor, device, driver, iommuGroup, vfioDevice, numaNode } = vf;
  return {
    ...{ address, pf, index, vendor, device, inUse: reasons },
    ...defined({ driver, iommuGroup, vfioDevice, numaNode, netdev: vf.netdevs[0], linkType: pf.linkType, representor }),
  };
}

/** ARPHRD numbers of linux/if_arp.h that a NIC can have. */
const linkTypes: Readonly<Record<number, string>> = { 1: 'ether', 32: 'infiniband' };
