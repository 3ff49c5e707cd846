// How the host uses the netdevs of its VFs: their addresses and routes. The addresses that the kernel gives to every IPv6 link by itself
// don't count as use. in-use.ts draws the conclusions.
import { messageOf } from '../base/errors.ts';
import type { Machine } from '../base/machine.ts';
import type { Unread } from '../base/unread.ts';
import { readPacketSockets } from '../kernel/packet-sockets.ts';
import type { Link, Netlink, Route } from '../netlink/netlink.ts';
import { NetlinkError } from '../netlink/wire/error.ts';
import type { PciPf, PciVf } from './pci.ts';

export interface Use {
  /** The addresses by netdev, e.g. `10.0.0.5/24`. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** The routes by netdev, e.g. `10.1.0.0/16 via 10.0.0.1`. A netdev with an address is not asked, because that proves its use already. */
  readonly routes: ReadonlyMap<string, readonly string[]>;
  /** Netdevs whose frames a program takes, e.g. `a program takes all its frames`. No master tells of a port of a userspace Open vSwitch. */
  readonly readers: ReadonlyMap<string, string>;
}

/** The questions to rtnetlink. */
export type UseNetlink = Pick<Netlink, 'links' | 'addresses' | 'routes'>;

type AskUse = (pfs: readonly PciPf[], report: (unread: Unread) => void) => Promise<Use>;

/** Asks repeatedly. A netdev that can't be asked about keeps its last answer. If it never had one, its VF counts as unread. */
export function askUse(host: Machine, netlink: UseNetlink): AskUse {
  const routesOf = makeRouteQuestion(netlink);
  let last: Use & { readonly netdevs: ReadonlySet<string> } = {
    addresses: new Map(),
    routes: new Map(),
    readers: new Map(),
    netdevs: new Set(),
  };

  return async (pfs, report) => {
    const vfs = new Map(pfs.flatMap((pf) => pf.vfs.flatMap((vf) => vf.netdevs.map((netdev) => [netdev, vf] as const))));
    if (vfs.size === 0) return { addresses: new Map(), routes: new Map(), readers: new Map() };
    try {
      const links = (await netlink.links()).filter(({ name }) => vfs.has(name));
      const addresses = await addressesOf(netlink, links);
      // A netdev that is down has no routes.
      const routes = await routesOf(
        links.filter(({ name, up }) => up && !addresses.has(name)),
        complain(vfs, report),
      );
      last = { addresses, routes, readers: readersOf(host, links), netdevs: new Set(links.map(({ name }) => name)) };
    } catch (error) {
      const fresh = [...vfs].filter(([netdev]) => !last.netdevs.has(netdev));
      report({ words: messageOf(error) });
      for (const [, { address }] of fresh) report({ address, words: messageOf(error) });
    }
    return last;
  };
}

function complain(vfs: ReadonlyMap<string, PciVf>, report: (unread: Unread) => void): (netdev: string, error: unknown) => void {
  return (netdev, error) => {
    const address = vfs.get(netdev)?.address;
    report({ ...(address !== undefined && { address }), words: messageOf(error) });
  };
}

/**
 * A userspace Open vSwitch makes its ports promiscuous and reads them by packet sockets, or by an XDP program (`type=afxdp`). A reader alone says
 * nothing: lldpd has a socket on each link.
 */
function readersOf(host: Machine, links: readonly Link[]): Use['readers'] {
  const asked = links.filter(({ promiscuous, extras }) => promiscuous === true || extras !== undefined);
  const sockets = asked.length === 0 ? new Set<number>() : readPacketSockets(host);
  return new Map(
    asked.flatMap((link) => {
      const words = readerOf(link, sockets);
      return words === undefined ? [] : [[link.name, words] as const];
    }),
  );
}

function readerOf({ index, promiscuous, extras }: Link, sockets: ReadonlySet<number>): string | undefined {
  if (extras?.includes('an XDP program')) return 'has an XDP program';
  const isRead = promiscuous === true && sockets.has(index);
  return isRead ? 'is promiscuous and read by a program, as a port of a userspace Open vSwitch is' : undefined;
}

async function addressesOf(netlink: UseNetlink, links: readonly Link[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const used = (await netlink.addresses(0)).filter(({ cidr }) => !isLinkLocal(cidr));
  const groups = Map.groupBy(used, ({ index }) => names.get(index));
  return new Map(
    [...groups].flatMap(([name, all]) => (name === undefined ? [] : [[name, all.map(({ cidr }) => cidr)] as const])),
  );
}

interface Known {
  readonly index: number;
  readonly routes: readonly string[];
  readonly until: number;
}

/** Milliseconds. An answer is used for a hundred times as long as it took, but no longer than this. */
const longest = 300_000;

/**
 * Asks about each netdev by itself. For each question the kernel walks through all its routes, but it sends only those that matter. A router
 * may have hundreds of thousands of routes; then a question takes 20 ms.
 */
function makeRouteQuestion(netlink: UseNetlink) {
  let known: ReadonlyMap<string, Known> = new Map();
  return async (links: readonly Link[], complain: (netdev: string, error: unknown) => void): Promise<Use['routes']> => {
    const next = new Map<string, Known>();
    for (const { name, index } of links) {
      const old = known.get(name);
      const began = performance.now();
      if (old?.index === index && began < old.until) next.set(name, old);
      else
        try {
          const routes = await routesBy(netlink, index);
          const now = performance.now();
          next.set(name, { index, routes, until: now + Math.min(100 * (now - began), longest) });
        } catch (error) {
          complain(name, error);
        }
    }
    known = next;
    return new Map([...next].flatMap(([name, { routes }]) => (routes.length === 0 ? [] : [[name, routes] as const])));
  };
}

async function routesBy(netlink: UseNetlink, oif: number): Promise<readonly string[]> {
  try {
    const routes = await netlink.routes({ oif });
    return routes.filter(({ dst, gateway }) => gateway !== undefined || !isLinkLocal(dst)).map(describeRoute);
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return []; // it has just gone
    throw error;
  }
}

function isLinkLocal(cidr: string): boolean {
  return /^(fe80:|ff)/i.test(cidr);
}

function describeRoute({ dst, gateway }: Route): string {
  return gateway === undefined ? dst : `${dst} via ${gateway}`;
}
