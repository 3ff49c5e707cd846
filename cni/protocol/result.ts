// CNI results: ours in the shape of each version (SPEC section 5), and the result of an IPAM plugin or an earlier plugin, read in any version.
import { z } from 'zod';
import { explain } from '../../host/base/explain.ts';
import type { PodAddress, PodRoute } from '../../host/netlink/pod-ip.ts';
import { atLeast, type CniVersion } from './versions.ts';

export interface Interface {
  readonly name: string;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
  /** CNI_NETNS as it was given. Absent for interfaces on the host. */
  readonly sandbox?: string | undefined;
  readonly socketPath?: string | undefined;
  readonly pciID?: string | undefined;
}

export interface Ip extends PodAddress {
  /** An index into `interfaces`. */
  readonly interface?: number | undefined;
}

export interface Dns {
  readonly nameservers?: readonly string[] | undefined;
  readonly domain?: string | undefined;
  readonly search?: readonly string[] | undefined;
  readonly options?: readonly string[] | undefined;
}

export interface Result {
  readonly interfaces: readonly Interface[];
  readonly ips: readonly Ip[];
  readonly routes: readonly PodRoute[];
  readonly dns: Dns;
}

export function renderResult(result: Result, version: CniVersion): string {
  return JSON.stringify({
    cniVersion: version,
    interfaces: result.interfaces.map((each) => renderInterface(each, version)),
    ...(result.ips.length > 0 ? { ips: result.ips.map((ip) => renderIp(ip, version)) } : {}),
    ...(result.routes.length > 0 ? { routes: result.routes.map((route) => renderRoute(route, version)) } : {}),
    dns: result.dns,
  });
}

function renderInterface({ name, mac, mtu, sandbox, socketPath, pciID }: Interface, version: CniVersion): object {
  return { name, mac, sandbox, ...(atLeast(version, '1.1.0') ? { mtu, socketPath, pciID } : {}) };
}

/** Before 1.0.0 an address has its IP version. */
function renderIp(ip: Ip, version: CniVersion): object {
  return atLeast(version, '1.0.0') ? ip : { version: ip.address.includes(':') ? '6' : '4', ...ip };
}

function renderRoute(route: PodRoute, version: CniVersion): object {
  return atLeast(version, '1.1.0') ? route : { dst: route.dst, gw: route.gw };
}

const address = z.union([z.ipv4(), z.ipv6()], { error: 'is not an IP address' });
const cidr = z.union([z.cidrv4(), z.cidrv6()], { error: 'is not an address with a prefix length, such as 10.1.2.3/24' });
/** Go writes empty lists as null and empty texts as "". Both mean that there is nothing. */
const orNothing = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (value === null || value === '' ? undefined : value), schema);
const text = orNothing(z.string().optional());
const texts = orNothing(z.array(z.string()).optional());
const number = orNothing(z.int().nonnegative().optional());
const gateway = orNothing(address.optional());

const interfaceShape = z.looseObject({ name: z.string(), mac: text, mtu: number, sandbox: text, socketPath: text, pciID: text });
const ipShape = z.looseObject({ address: cidr, gateway, interface: number });
const routeShape = z.looseObject({
  dst: cidr,
  gw: gateway,
  mtu: number,
  advmss: number,
  priority: number,
  table: number,
  scope: number,
});
const dnsShape = z.looseObject({ nameservers: texts, domain: text, search: texts, options: texts });

const resultShape = z.looseObject({
  interfaces: orNothing(z.array(interfaceShape).default([])),
  ips: orNothing(z.array(ipShape).default([])),
  routes: orNothing(z.array(routeShape).default([])),
  dns: orNothing(dnsShape.default({ nameservers: undefined, domain: undefined, search: undefined, options: undefined })),
});

/** Reads a result of version 0.3.0 or newer. Throws when it is not one, naming key and value. */
export function parseResult(value: unknown): Result {
  const parsed = resultShape.safeParse(value);
  if (!parsed.success) throw new Error(explain(parsed.error, value));
  const { interfaces, ips, routes, dns } = parsed.data;
  return {
    interfaces: interfaces.map(({ name, mac, mtu, sandbox, socketPath, pciID }) => ({
      name,
      mac,
      mtu,
      sandbox,
      socketPath,
      pciID,
    })),
    ips: ips.map((ip) => ({ address: ip.address, gateway: ip.gateway, interface: ip.interface })),
    routes: routes.map(({ dst, gw, mtu, advmss, priority, table, scope }) => ({ dst, gw, mtu, advmss, priority, table, scope })),
    dns: { nameservers: dns.nameservers, domain: dns.domain, search: dns.search, options: dns.options },
  };
}

/** Adds our result to that of earlier plugins in the chain: our interface indexes move up, and their DNS stays unless we have one. */
export function chainResult(earlier: Result, ours: Result): Result {
  const offset = earlier.interfaces.length;
  return {
    interfaces: [...earlier.interfaces, ...ours.interfaces],
    ips: [...earlier.ips, ...ours.ips.map((ip) => ({ ...ip, interface: (ip.interface ?? 0) + offset }))],
    routes: [...earlier.routes, ...ours.routes],
    dns: Object.values(ours.dns).some((each) => each !== undefined && each.length > 0) ? ours.dns : earlier.dns,
  };
}
