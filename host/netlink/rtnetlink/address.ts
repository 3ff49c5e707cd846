// Interface addresses in rtnetlink's messages (linux/if_addr.h). Pure.
import { attribute, attributeMap, type Message, readU8, readU32, u32 } from '../wire/codec.ts';
import { type Family, familyNumber, familyOf, formatIp, type Prefix, parseCidr } from './inet.ts';

/** An address that a link has. */
export interface Address {
  /** The link's. */
  readonly index: number;
  readonly family: Family;
  /** `10.0.0.5/24`, in the shortest spelling. */
  readonly cidr: string;
  /** IPv6: duplicate address detection still runs; it cannot be used as a source yet. */
  readonly tentative: boolean;
  /** IPv6: somebody else on the wire has it. */
  readonly duplicate: boolean;
}

/** An address to be put on a link. */
export interface NewAddress {
  /** `10.0.0.5/24` */
  readonly cidr: string;
  /** IPv6: usable at once, without asking the wire whether somebody has it. */
  readonly noDad?: boolean;
}

export const addressTypes = { new: 20, del: 21, get: 22 } as const;

const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 };
const IFA_F = { noDad: 0x02, dadFailed: 0x08, tentative: 0x40 };
const headerSize = 8;

/** `ifaddrmsg` */
function header(family: number, prefixLength: number, index: number): Buffer {
  const bytes = Buffer.alloc(headerSize);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt8(prefixLength, 1);
  bytes.writeUInt32LE(index, 4);
  return bytes;
}

/** Asks for the addresses of both families on one link. */
export function addressQuery(index: number): Buffer {
  return header(0, 0, index);
}

/** @throws RangeError when `cidr` is not an address with a prefix length. */
export function encodeAddress(index: number, { cidr, noDad = false }: NewAddress): Buffer {
  const prefix = parseCidr(cidr);
  const broadcast = broadcastOf(prefix);
  return Buffer.concat([
    header(familyNumber[prefix.family], prefix.length, index),
    attribute(IFA.local, prefix.ip),
    attribute(IFA.address, prefix.ip),
    ...(broadcast ? [attribute(IFA.broadcast, broadcast)] : []),
    ...(noDad && prefix.family === 6 ? [u32(IFA.flags, IFA_F.noDad)] : []),
  ]);
}

/** Names an address for removal. @throws RangeError as encodeAddress. */
export function addressReference(index: number, cidr: string): Buffer {
  const prefix = parseCidr(cidr);
  return Buffer.concat([header(familyNumber[prefix.family], prefix.length, index), attribute(IFA.local, prefix.ip)]);
}

/** Undefined for an address that is neither IPv4 nor IPv6. @throws RangeError when the message is cut short. */
export function decodeAddress({ body }: Message): Address | undefined {
  const family = familyOf(readU8(body));
  const attributes = attributeMap(body.subarray(headerSize));
  const ip = attributes.get(IFA.local) ?? attributes.get(IFA.address); // IPv6 has local only on point-to-point links
  if (!family || !ip) return undefined;
  const long = attributes.get(IFA.flags);
  const flags = long ? readU32(long) : readU8(body, 2);
  return {
    index: readU32(body, 4),
    family,
    cidr: `${formatIp(ip)}/${readU8(body, 1)}`,
    tentative: (flags & IFA_F.tentative) !== 0,
    duplicate: (flags & IFA_F.dadFailed) !== 0,
  };
}

/** IPv4 networks of more than two addresses have a broadcast address. The kernel does not compute it. */
function broadcastOf({ family, ip, length }: Prefix): Buffer | undefined {
  if (family !== 4 || length > 30) return undefined;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((ip.readUInt32BE() | (0xffffffff >>> length)) >>> 0);
  return bytes;
}
