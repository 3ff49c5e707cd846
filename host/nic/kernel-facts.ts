// Asks the kernel's network side what sysfs does not know: eswitch modes, devlink ports, offloads, addresses and routes, vfio's users.
import type { Machine } from '../base/machine.ts';
import { readVfioHolders, type VfioHolders } from '../kernel/vfio-holders.ts';
import { findFeatures } from '../netlink/ethtool.ts';
import type { Address, Netlink, Netlinks, Route } from '../netlink/netlink.ts';
import { type Family, findFamily } from '../netlink/wire/generic.ts';
import { openSession } from '../netlink/wire/session.ts';
import { protocols } from '../netlink/wire/socket.ts';
import { findEswitchMode, listPorts } from './devlink.ts';
import type { AskKernel } from './nics.ts';
import type { PciPf } from './pci.ts';
import type { EswitchMode } from './vf.ts';

export interface KernelQuestions extends Disposable {
  readonly ask: AskKernel;
  /** Processes whose open files we were not allowed to see at the last look; more than 0: a vf in use by vfio may be overlooked. */
  readonly hidden: number;
}

/** Milliseconds for which an answer about vfio's users is good: finding them means a look at every descriptor of the machine. */
const holdersAge = 30_000;

/** @throws SystemError when the machine gives no netlink socket. */
export function openKernelQuestions(host: Machine & Netlinks): KernelQuestions {
  const generic = openSession({ protocol: protocols.generic });
  const route = host.netlink();
  let vfio: { readonly at: number; readonly found: VfioHolders } | undefined;

  async function holders(pfs: readonly PciPf[]): Promise<VfioHolders> {
    const any = pfs.some((pf) => pf.vfs.some((vf) => vf.driver?.endsWith('vfio-pci')));
    if (!any) return { holders: new Map(), hidden: 0 };
    if (vfio === undefined || performance.now() - vfio.at > holdersAge)
      vfio = { at: performance.now(), found: await readVfioHolders(host) };
    return vfio.found;
  }

  return {
    ask: async (pfs, uplinks) => {
      const [devlink, ethtool] = [await findFamily(generic, 'devlink'), await findFamily(generic, 'ethtool')];
      const netdevs = new Set(pfs.flatMap((pf) => pf.vfs.flatMap((vf) => vf.netdevs)));
      return {
        eswitchModes: devlink ? await eswitchModes(devlink, pfs) : new Map(),
        ports: devlink ? await listPorts(devlink) : [],
        hwTcOffload: ethtool ? await offloads(ethtool, uplinks) : new Map(),
        ...(await readUse(route, netdevs)),
        vfioHolders: (await holders(pfs)).holders,
      };
    },
    get hidden() {
      return vfio?.found.hidden ?? 0;
    },
    [Symbol.dispose]() {
      generic[Symbol.dispose]();
      route[Symbol.dispose]();
    },
  };
}

async function eswitchModes(devlink: Family, pfs: readonly PciPf[]): Promise<ReadonlyMap<string, EswitchMode>> {
  const modes = new Map<string, EswitchMode>();
  for (const { address } of pfs) {
    const mode = await findEswitchMode(devlink, address);
    if (mode !== undefined) modes.set(address, mode);
  }
  return modes;
}

async function offloads(ethtool: Family, netdevs: readonly string[]): Promise<ReadonlyMap<string, boolean>> {
  const offload = new Map<string, boolean>();
  for (const netdev of netdevs) {
    const features = await findFeatures(ethtool, netdev);
    if (features !== undefined) offload.set(netdev, features.has('hw-tc-offload'));
  }
  return offload;
}

interface Use {
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly routes: ReadonlyMap<string, readonly string[]>;
}

/** Addresses and routes on these netdevs. What the kernel puts on every IPv6 link by itself is not use. */
async function readUse(netlink: Netlink, netdevs: ReadonlySet<string>): Promise<Use> {
  if (netdevs.size === 0) return { addresses: new Map(), routes: new Map() };
  const names = new Map((await netlink.links()).filter((link) => netdevs.has(link.name)).map((link) => [link.index, link.name]));
  const addresses = (await netlink.addresses(0)).filter(({ cidr }) => !isLinkLocal(cidr));
  const routes = (await netlink.routes()).filter(({ dst, gateway }) => gateway !== undefined || !isLinkLocal(dst));
  return {
    addresses: groupByName(
      addresses,
      ({ index }) => names.get(index),
      ({ cidr }) => cidr,
    ),
    routes: groupByName(routes, ({ oif }) => names.get(oif ?? 0), describeRoute),
  };
}

function isLinkLocal(cidr: string): boolean {
  return /^(fe80:|ff)/i.test(cidr);
}

function describeRoute({ dst, gateway }: Route): string {
  return gateway === undefined ? dst : `${dst} via ${gateway}`;
}

function groupByName<T extends Address | Route>(
  items: readonly T[],
  name: (item: T) => string | undefined,
  words: (item: T) => string,
): ReadonlyMap<string, readonly string[]> {
  const groups = Map.groupBy(items, name);
  return new Map([...groups].flatMap(([key, all]) => (key === undefined ? [] : [[key, all.map(words)] as const])));
}
