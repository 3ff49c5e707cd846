// Unicast routes in rtnetlink's messages (linux/rtnetlink.h). Pure.
import { attribute, attributeMap, type Message, nested, optional, readU8, readU32, u32 } from '../wire/codec.ts';
import { type Family, familyNumber, familyOf, formatIp, type Prefix, parseCidr, parseIp } from './inet.ts';

/** A route the kernel has. */
export interface Route {
  readonly family: Family;
  /** `10.1.0.0/16`; `0.0.0.0/0` and `::/0` are the default routes. */
  readonly dst: string;
  readonly gateway?: string;
  /** Index of the link it leaves by; absent for a multipath route. */
  readonly oif?: number;
  /** The source address it prefers. */
  readonly src?: string;
  /** Lower wins. */
  readonly priority?: number;
  readonly table: number;
  readonly scope: number;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly onlink: boolean;
}

/** A route to be made. */
export interface NewRoute {
  /** Absent: the default route of the gateway's family. */
  readonly dst?: string;
  readonly gateway?: string;
  /** Index of the link it leaves by. */
  readonly oif: number;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  /** Default 254, main. */
  readonly table?: number;
  /** 0 universe, 253 link, 254 host. Default: link for IPv4 without a gateway, else universe. */
  readonly scope?: number;
  /** The gateway is on the link even if no address of the link says so. */
  readonly onlink?: boolean;
}

export const routeTypes = { new: 24, del: 25, get: 26 } as const;

const RTA = { dst: 1, oif: 4, gateway: 5, priority: 6, prefsrc: 7, metrics: 8, table: 15 };
const RTAX = { mtu: 2, advmss: 8 };
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3; // what `ip route add` says
const RTN_UNICAST = 1;
const RTNH_F_ONLINK = 4;
const scopes = { universe: 0, link: 253 };
const headerSize = 12;

/** Asks for all routes of one family, or of both, and by one link, or by all. */
export function routeQuery(family?: Family, oif?: number): Buffer {
  const bytes = Buffer.alloc(headerSize);
  bytes.writeUInt8(family ? familyNumber[family] : 0, 0);
  return oif === undefined ? bytes : Buffer.concat([bytes, u32(RTA.oif, oif)]);
}

/** @throws RangeError on addresses that are none, or of two families. */
export function encodeRoute(route: NewRoute): Buffer {
  const { gateway, priority, mtu, advmss, table = RT_TABLE_MAIN } = route;
  const via = gateway === undefined ? undefined : parseIp(gateway);
  const dst = destination(route, via?.family);
  const metrics = [
    ...(mtu === undefined ? [] : [u32(RTAX.mtu, mtu)]),
    ...(advmss === undefined ? [] : [u32(RTAX.advmss, advmss)]),
  ];
  const scope = route.scope ?? (dst.family === 4 && !via ? scopes.link : scopes.universe);
  return Buffer.concat([
    header({ dst, table, scope, onlink: route.onlink ?? false }),
    ...(dst.length === 0 ? [] : [attribute(RTA.dst, dst.ip)]),
    ...(via ? [attribute(RTA.gateway, via.ip)] : []),
    u32(RTA.oif, route.oif),
    u32(RTA.table, table),
    ...(priority === undefined ? [] : [u32(RTA.priority, priority)]),
    ...(metrics.length === 0 ? [] : [nested(RTA.metrics, ...metrics)]),
  ]);
}

function destination({ dst, gateway }: NewRoute, family: Family | undefined): Prefix {
  if (dst === undefined) {
    if (!family) throw new RangeError('a route needs a destination, a gateway, or both');
    return { family, ip: Buffer.alloc(family === 4 ? 4 : 16), length: 0 };
  }
  const prefix = parseCidr(dst);
  if (family && family !== prefix.family)
    throw new RangeError(`a route to ${dst} cannot go by ${gateway}: one is IPv4, the other IPv6`);
  return prefix;
}

/** `rtmsg` */
function header({ dst, table, scope, onlink }: { dst: Prefix; table: number; scope: number; onlink: boolean }): Buffer {
  const bytes = Buffer.alloc(headerSize);
  bytes.writeUInt8(familyNumber[dst.family], 0);
  bytes.writeUInt8(dst.length, 1);
  bytes.writeUInt8(table < 256 ? table : 0, 4); // larger tables stand in RTA_TABLE alone
  bytes.writeUInt8(RTPROT_BOOT, 5);
  bytes.writeUInt8(scope, 6);
  bytes.writeUInt8(RTN_UNICAST, 7);
  bytes.writeUInt32LE(onlink ? RTNH_F_ONLINK : 0, 8);
  return bytes;
}

/** Undefined for what is not a unicast IP route (local, broadcast, multicast). @throws RangeError when the message is cut short. */
export function decodeRoute({ body }: Message): Route | undefined {
  const family = familyOf(readU8(body));
  if (!family || readU8(body, 7) !== RTN_UNICAST) return undefined;
  const attributes = attributeMap(body.subarray(headerSize));
  const metrics = attributeMap(attributes.get(RTA.metrics) ?? Buffer.alloc(0));
  const ip = attributes.get(RTA.dst) ?? Buffer.alloc(family === 4 ? 4 : 16);
  return {
    family,
    dst: `${formatIp(ip)}/${readU8(body, 1)}`,
    ...optional('gateway', attributes.get(RTA.gateway), formatIp),
    ...optional('oif', attributes.get(RTA.oif), readU32),
    ...optional('src', attributes.get(RTA.prefsrc), formatIp),
    ...optional('priority', attributes.get(RTA.priority), readU32),
    table: readU32(attributes.get(RTA.table) ?? Buffer.from([readU8(body, 4), 0, 0, 0])),
    scope: readU8(body, 6),
    ...optional('mtu', metrics.get(RTAX.mtu), readU32),
    ...optional('advmss', metrics.get(RTAX.advmss), readU32),
    onlink: (readU32(body, 8) & RTNH_F_ONLINK) !== 0,
  };
}
