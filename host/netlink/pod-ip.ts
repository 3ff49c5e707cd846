// Puts addresses and routes on a pod's interface, and announces them. IPAM decides which ones.
import { defined } from '../base/defined.ts';
import { inNetns, openNetns } from '../kernel/netns.ts';
import { setNetSetting } from '../kernel/sysctl.ts';
import { announce } from './announce.ts';
import type { Netlinks } from './netlink.ts';

export interface PodAddress {
  /** CIDR, e.g. `10.1.2.3/24`. */
  readonly address: string;
  readonly gateway?: string | undefined;
}

export interface PodRoute {
  /** CIDR; `0.0.0.0/0` and `::/0` are default routes. */
  readonly dst: string;
  /** Absent: the gateway of the first address of the same family, else the link itself; always the link for a scope of 253 (link) or above. */
  readonly gw?: string | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
}

export interface PodIp {
  readonly netns: string;
  readonly ifname: string;
  readonly addresses: readonly PodAddress[];
  readonly routes: readonly PodRoute[];
}

/** RT_SCOPE_LINK (linux/rtnetlink.h): such a route has no gateway. */
const scopeLink = 253;

/** The addresses work at once, without duplicate address detection, because IPAM keeps addresses apart. */
export async function configureIp(host: Netlinks, { netns, ifname, addresses, routes }: PodIp): Promise<void> {
  using pod = openNetns(netns);
  using inside = host.netlink(pod);
  const link = await inside.link(ifname);
  if (link === undefined) throw new Error(`interface ${ifname} is gone from ${netns}`);
  const v6 = addresses.find(isV6);
  if (v6 !== undefined && !inNetns(pod, () => enableIpv6(ifname))) {
    throw new Error(
      `put ${v6.address} on ${ifname} in ${netns}: the kernel has no IPv6 there, because it was started without IPv6, or because the MTU of ` +
        `${ifname}, ${link.mtu}, is below 1280`,
    );
  }
  await inside.configure(link.index, {
    addresses: addresses.map(({ address }) => ({ cidr: address, noDad: true })),
    routes: routes.map(({ dst, gw, ...rest }) => {
      const ofAddress = addresses.find((each) => isV6(each) === dst.includes(':') && each.gateway !== undefined)?.gateway;
      const gateway = gw ?? ((rest.scope ?? 0) < scopeLink ? ofAddress : undefined);
      return defined({ dst, gateway, ...rest });
    }),
  });
  announce({ netns: pod, index: link.index, mac: link.mac, addresses: addresses.map(({ address }) => address) });
}

/** Throws, naming what is missing. It does not check routes, because a later plugin of the chain may change them (SPEC, CHECK). */
export async function checkIp(host: Netlinks, { netns, ifname, addresses }: Omit<PodIp, 'routes'>): Promise<void> {
  using pod = openNetns(netns);
  using inside = host.netlink(pod);
  const link = await inside.link(ifname);
  if (link === undefined) throw new Error(`interface ${ifname} is not in ${netns}`);
  const there = new Set((await inside.addresses(link.index)).map(({ cidr }) => canonical(cidr)));
  const missing = addresses.find(({ address }) => !there.has(canonical(address)));
  if (missing !== undefined) throw new Error(`${ifname} in ${netns} has lost its address ${missing.address}`);
}

/** An IPv6 address has many spellings. The URL parser gives the one of RFC 5952. */
function canonical(cidr: string): string {
  const [address, prefix] = cidr.split('/');
  return cidr.includes(':') ? `${new URL(`http://[${address}]`).hostname}/${prefix}` : cidr;
}

/** A container's namespace may have IPv6 off by default (net.ipv6.conf.default.disable_ipv6). @returns false when the interface can't have IPv6. */
function enableIpv6(ifname: string): boolean {
  setNetSetting('ipv6/conf/lo/disable_ipv6', '0');
  return setNetSetting(`ipv6/conf/${ifname}/disable_ipv6`, '0');
}

function isV6({ address }: PodAddress): boolean {
  return address.includes(':');
}
