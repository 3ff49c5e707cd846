// Reads the SR-IOV functions of the machine from /sys/bus/pci/devices and /sys/kernel/iommu_groups: what they are and which driver they have.
// What the kernel's network side says about them is added by host/nic/nics.ts.

import type { Machine } from '../base/machine.ts';
import { isPciAddress, type PciAddress } from '../base/pci-address.ts';
import { atOnce, inTurns, type Steps } from '../base/turns.ts';
import { type Report, readOr } from '../base/unread.ts';
import { existsOnHost, findDirectory, findLinkName, listDirectory, onHost, readInteger, readText } from '../kernel/sysfs.ts';
import type { IommuGroup } from './vf.ts';
import { isVfioDriver } from './vfio-driver.ts';

/** What every PCI function has. Ids are four hex digits, lower-case, without 0x. */
export interface PciFunction {
  readonly address: PciAddress;
  readonly vendor: string;
  readonly device: string;
  /** Absent: bound to no driver. */
  readonly driver?: string;
  /** Absent: the machine says -1 or does not say it. */
  readonly numaNode?: number;
  /** Netdevs of the function in our network namespace. In switchdev mode a PF's representors are among them. */
  readonly netdevs: readonly string[];
  /** It has a netdev, but in a network namespace other than ours. */
  readonly netdevElsewhere: boolean;
}

export interface PciVf extends PciFunction {
  readonly index: number;
  readonly iommuGroup?: IommuGroup;
  /** For example `vfio3`, of /dev/vfio/devices/vfio3. */
  readonly vfioDevice?: string;
}

export interface PciPf extends PciFunction {
  readonly numVfs: number;
  readonly totalVfs: number;
  /** Sorted by index. */
  readonly vfs: readonly PciVf[];
}

/** It has a folder for each PCI function. */
export const devices = '/sys/bus/pci/devices';
const groups = '/sys/kernel/iommu_groups';

/**
 * All network PFs that can have VFs, with the VFs that they have now, sorted by address. Source: Documentation/ABI/testing/sysfs-bus-pci.
 * A function that can't be read is reported and left out. @throws Error when the machine can't list its devices.
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
 * Finds one VF and its PF without reading the rest of the machine. Undefined when there is no VF at that address.
 * @throws Error naming what can't be read of the VF. What can't be read of other functions does not matter.
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

/** Undefined: the function is no network PF. */
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
 * Undefined when the function goes away while it is read. Its VFs are counted here, because reading `sriov_numvfs` waits while VFs are being
 * created or removed, and a removal lasts as long as a user keeps one of them.
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
  // A function with a netdev is at a network driver. The others are few where it matters, and the driver's name does not always tell.
  const vfioDevice = common.driver === undefined || common.netdevs.length > 0 ? undefined : listDirectory(`${path}/vfio-dev`)[0];
  return { ...common, index, ...(group && { iommuGroup: group }), ...(vfioDevice !== undefined && { vfioDevice }) };
}

function readFunction(path: string, address: string): PciFunction | undefined {
  // One read tells ids and driver: `DRIVER=igbvf\nPCI_CLASS=20000\nPCI_ID=8086:10CA\n…`
  const uevent = readText(`${path}/uevent`);
  const [, vendor, device] = /^PCI_ID=([0-9A-F]+):([0-9A-F]+)$/im.exec(uevent ?? '') ?? [];
  if (vendor === undefined || device === undefined || !isPciAddress(address)) return undefined;
  const driver = /^DRIVER=(.+)$/m.exec(uevent ?? '')?.[1];
  const numaNode = readInteger(`${path}/numa_node`) ?? -1;
  const netdevs = driver === undefined || isVfioDriver(driver) ? undefined : findNetdevs(path);
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

/**
 * The folder `net` exists as long as there is a netdev anywhere, and sysfs lists only the netdevs of our own namespace in it. Most functions have
 * it. Where the driver makes devices of another bus, one of those has it: `virtio7/net/eth7` of a virtio VF.
 */
function findNetdevs(path: string): readonly string[] | undefined {
  const own = findDirectory(`${path}/net`);
  if (own !== undefined) return own;
  const below = listDirectory(path).filter((name) => /^virtio\d+$|^[\w-]+\.[\w-]+\.\d+$/.test(name));
  const all = below.flatMap((name) => findDirectory(`${path}/${name}/net`) ?? []);
  return all.length > 0 || below.some((name) => existsOnHost(`${path}/${name}/net`)) ? all : undefined;
}

/** Groups by the PCI address of their members. It reads each device's own link, which is cheaper than listing each group. */
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
    // A bridge may be in the group. vfio takes bridges for harmless (vfio_dev_driver_allowed), and no pod can get one.
    const isBridge = (address: string) => (readText(`${folder}/${address}/class`) ?? '').startsWith('0x06');
    const ends = all.length > 1 ? all.filter((address) => readOr(report, { address }, () => isBridge(address)) !== true) : all;
    // vfio is the only one that names groups, and it has only this name. Most groups have none, and looking is cheaper than a read that fails.
    const name = `${named}/${id}/name`;
    for (const address of all) {
      const noiommu = readOr(report, { address }, () => existsOnHost(name) && readText(name) === 'vfio-noiommu');
      if (noiommu !== undefined) byAddress.set(address, { id: Number(id), noiommu, members: ends });
    }
  }
  return byAddress;
}
