// Reads the SR-IOV functions of the machine from /sys/bus/pci/devices and /sys/kernel/iommu_groups: what they are and what they are
// bound to. Not what the kernel's network side says of them (host/nic/nics.ts puts both together).

import type { Machine } from '../base/machine.ts';
import { isPciAddress, type PciAddress } from '../base/pci-address.ts';
import { atOnce, inTurns, type Steps } from '../base/turns.ts';
import { type Report, readOr } from '../base/unread.ts';
import { existsOnHost, findDirectory, findLinkName, listDirectory, onHost, readInteger, readText } from '../kernel/sysfs.ts';
import type { IommuGroup } from './vf.ts';

/** What every PCI function has. Ids are four hex digits, lower-case, without 0x. */
export interface PciFunction {
  readonly address: PciAddress;
  readonly vendor: string;
  readonly device: string;
  /** Absent: bound to no driver. */
  readonly driver?: string;
  /** Absent: the machine says -1 or nothing. */
  readonly numaNode?: number;
  /** Netdevs of the function in our network namespace. In switchdev mode a pf's representors are among them. */
  readonly netdevs: readonly string[];
  /** It has a netdev, but in a network namespace other than ours. */
  readonly netdevElsewhere: boolean;
}

export interface PciVf extends PciFunction {
  readonly index: number;
  readonly iommuGroup?: IommuGroup;
  /** `vfio3` of /dev/vfio/devices/vfio3. */
  readonly vfioDevice?: string;
}

export interface PciPf extends PciFunction {
  readonly numVfs: number;
  readonly totalVfs: number;
  /** By index. */
  readonly vfs: readonly PciVf[];
}

/** A folder for each PCI function. */
export const devices = '/sys/bus/pci/devices';
const groups = '/sys/kernel/iommu_groups';

/**
 * All network pfs that can have vfs, with those they have now, sorted by address. Source: Documentation/ABI/testing/sysfs-bus-pci.
 * A function that can't be read is reported and missing. @throws Error when the machine can't list its devices.
 */
export function readPfs(host: Machine, report: Report): Promise<readonly PciPf[]> {
  return inTurns(pfSteps(host, report));
}

function* pfSteps(host: Machine, report: Report): Steps<readonly PciPf[]> {
  const folder = onHost(host, devices);
  const addresses = [...listDirectory(folder)].sort();
  const vfAddresses = new Set<string>();
  const found: { readonly address: string; readonly links: readonly VfLink[] }[] = [];
  for (const address of addresses) {
    yield;
    if (vfAddresses.has(address)) continue;
    const links = readOr(report, { address }, () => findVfLinks(`${folder}/${address}`));
    if (links === undefined) continue;
    for (const link of links) vfAddresses.add(link.address);
    found.push({ address, links });
  }
  const iommu = vfAddresses.size > 0 ? yield* iommuSteps(host, addresses, report) : new Map<string, IommuGroup>();
  const pfs: PciPf[] = [];
  for (const { address, links } of found) {
    const pf = readOr(report, { address }, () => readPf(`${folder}/${address}`, address, links.length, report));
    if (pf === undefined) continue;
    const vfs: PciVf[] = [];
    for (const link of links) {
      yield;
      const vf = readOr(report, { address: link.address }, () => readVf(folder, link, iommu));
      if (vf !== undefined) vfs.push(vf);
    }
    pfs.push({ ...pf, vfs });
  }
  return pfs;
}

/**
 * One vf and its pf, without reading the rest of the machine; undefined when there is no vf at that address.
 * @throws Error naming what can't be read of the vf; what can't be read of others does not matter.
 */
export function findVf(host: Machine, address: string): { readonly vf: PciVf; readonly pf: PciFunction } | undefined {
  const folder = onHost(host, devices);
  const pfAddress = findLinkName(`${folder}/${address}/physfn`); // physfn -> ../0000:41:00.0
  if (pfAddress === undefined) return undefined;
  const link = readVfLinks(`${folder}/${pfAddress}`).find((each) => each.address === address);
  const iommu = () =>
    atOnce(
      iommuSteps(host, listDirectory(folder), (unread) => {
        if (unread.address === address) throw new Error(unread.words);
      }),
    );
  const vf = link && readVf(folder, link, iommu());
  const pf = readFunction(`${folder}/${pfAddress}`, pfAddress);
  return vf === undefined || pf === undefined ? undefined : { vf, pf };
}

interface VfLink {
  readonly index: number;
  readonly address: string;
}

/** Undefined: it is no network pf. */
function findVfLinks(path: string): readonly VfLink[] | undefined {
  const isPf = existsOnHost(`${path}/sriov_totalvfs`) && (readText(`${path}/class`) ?? '').startsWith('0x02');
  return isPf ? readVfLinks(path) : undefined;
}

function readVfLinks(path: string): readonly VfLink[] {
  return listDirectory(path)
    .filter((name) => name.startsWith('virtfn'))
    .flatMap((name) => {
      const address = findLinkName(`${path}/${name}`); // virtfn3 -> ../0000:41:10.6
      return address === undefined ? [] : [{ index: Number(name.slice('virtfn'.length)), address }];
    })
    .sort((a, b) => a.index - b.index);
}

/**
 * Undefined when the function goes away while it is read. Its VFs are counted and not read from `sriov_numvfs`: the kernel tells that only when
 * all of them are made or removed, which takes as long as a user keeps one of them.
 */
function readPf(path: string, address: string, numVfs: number, report: Report): Omit<PciPf, 'vfs'> | undefined {
  const common = readFunction(path, address);
  if (common === undefined) return undefined;
  const totalVfs = readOr(report, {}, () => readInteger(`${path}/sriov_totalvfs`)) ?? numVfs;
  return { ...common, numVfs, totalVfs };
}

function readVf(folder: string, { address, index }: VfLink, iommu: ReadonlyMap<string, IommuGroup>): PciVf | undefined {
  const path = `${folder}/${address}`;
  const common = readFunction(path, address);
  if (common === undefined) return undefined;
  const group = iommu.get(address);
  const vfioDevice = isVfio(common.driver) ? listDirectory(`${path}/vfio-dev`)[0] : undefined;
  return { ...common, index, ...(group && { iommuGroup: group }), ...(vfioDevice !== undefined && { vfioDevice }) };
}

function readFunction(path: string, address: string): PciFunction | undefined {
  // One read tells ids and driver: `DRIVER=igbvf\nPCI_CLASS=20000\nPCI_ID=8086:10CA\n…`
  const uevent = readText(`${path}/uevent`);
  const [, vendor, device] = /^PCI_ID=([0-9A-F]+):([0-9A-F]+)$/im.exec(uevent ?? '') ?? [];
  if (vendor === undefined || device === undefined || !isPciAddress(address)) return undefined;
  const driver = /^DRIVER=(.+)$/m.exec(uevent ?? '')?.[1];
  const numaNode = readInteger(`${path}/numa_node`) ?? -1;
  // Its folder `net` is there as long as it has a netdev anywhere; sysfs lists only those of our own namespace in it.
  const netdevs = driver === undefined || isVfio(driver) ? undefined : findDirectory(`${path}/net`);
  return {
    address,
    vendor: vendor.toLowerCase(),
    device: device.toLowerCase(),
    ...(driver !== undefined && { driver }),
    ...(numaNode >= 0 && { numaNode }),
    netdevs: netdevs ?? [],
    netdevElsewhere: netdevs?.length === 0,
  };
}

/** `vfio-pci` and its variants such as `mlx5-vfio-pci`. */
function isVfio(driver: string | undefined): boolean {
  return driver?.endsWith('vfio-pci') ?? false;
}

/** Groups by the PCI address of their members. Each device's own link is read: cheaper than a listing per group. */
function* iommuSteps(host: Machine, addresses: readonly string[], report: Report): Steps<ReadonlyMap<string, IommuGroup>> {
  const folder = onHost(host, devices);
  const named = onHost(host, groups);
  const members = new Map<string, string[]>();
  for (const address of addresses) {
    yield;
    const id = readOr(report, { address }, () => findLinkName(`${folder}/${address}/iommu_group`));
    if (id !== undefined) members.set(id, [...(members.get(id) ?? []), address]);
  }
  const byAddress = new Map<string, IommuGroup>();
  for (const [id, all] of members) {
    yield;
    // A bridge may share the group: vfio takes its ports for harmless (vfio_dev_driver_allowed), and nobody can be given one.
    const isBridge = (address: string) => (readText(`${folder}/${address}/class`) ?? '').startsWith('0x06');
    const ends = all.length > 1 ? all.filter((address) => readOr(report, { address }, () => isBridge(address)) !== true) : all;
    // Only vfio names a group, and only this one. Looking first is cheaper than a read that fails, and most have no name.
    const name = `${named}/${id}/name`;
    for (const address of all) {
      const noiommu = readOr(report, { address }, () => existsOnHost(name) && readText(name) === 'vfio-noiommu');
      if (noiommu !== undefined) byAddress.set(address, { id: Number(id), noiommu, members: ends });
    }
  }
  return byAddress;
}
