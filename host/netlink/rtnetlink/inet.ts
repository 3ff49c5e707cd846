// MAC and IP addresses, from text to bytes and back. Pure. address.ts and route.ts say what has them.
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

export type Family = 4 | 6;

/** An IP network or an interface's address with its prefix length. */
export interface Prefix {
  readonly family: Family;
  /** 4 or 16 bytes, host bits included. */
  readonly ip: Buffer;
  readonly length: number;
}

/** The kernel's numbers of the families: AF_INET and AF_INET6. */
export const familyNumber = { 4: 2, 6: 10 } as const satisfies Record<Family, number>;

/** Undefined for families that are neither IPv4 nor IPv6. */
export function familyOf(number: number): Family | undefined {
  if (number === familyNumber[4]) return 4;
  return number === familyNumber[6] ? 6 : undefined;
}

/** @throws RangeError on anything but six pairs of hex digits, `0a:58:0a:00:00:05`. */
export function parseMac(mac: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac))
    throw new RangeError(`"${mac}" is not a MAC address such as 0a:58:0a:00:00:05`);
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

/** Lower-case, colon-separated; any number of bytes (an InfiniBand address has 20). */
export function formatMac(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** @throws RangeError on anything but an IPv4 or IPv6 address without zone and prefix. */
export function parseIp(ip: string): { readonly family: Family; readonly ip: Buffer } {
  if (isIPv4(ip)) return { family: 4, ip: Buffer.from(ip.split('.').map(Number)) };
  if (isIPv6(ip) && !ip.includes('%')) return { family: 6, ip: parseIpv6(ip) };
  throw new RangeError(`"${ip}" is not an IP address`);
}

/** @throws RangeError on anything but `10.0.0.5/24` or `2001:db8::5/64`. */
export function parseCidr(cidr: string): Prefix {
  const [, address = '', digits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(cidr) ?? [];
  if (digits === '') throw new RangeError(`"${cidr}" is not an address with a prefix length, such as 10.0.0.5/24`);
  const { family, ip } = parseIp(address);
  const length = Number(digits);
  if (length > ip.length * 8) throw new RangeError(`"${cidr}" has a prefix longer than ${ip.length * 8} bits`);
  return { family, ip, length };
}

/** The shortest spelling (RFC 5952 for IPv6). @throws RangeError unless 4 or 16 bytes. */
export function formatIp(ip: Buffer): string {
  if (ip.length === 4) return ip.join('.');
  if (ip.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${ip.length}`);
  const groups = Array.from({ length: 8 }, (_, i) => ip.readUInt16BE(i * 2).toString(16));
  return new SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
}

function parseIpv6(text: string): Buffer {
  const [head = '', tail = ''] = text.split('::');
  const before = groupBytes(head);
  const after = groupBytes(tail);
  return Buffer.from([...before, ...Array<number>(16 - before.length - after.length).fill(0), ...after]);
}

/** The bytes of `2001:db8` or, with an IPv4 address as its end, `ffff:10.0.0.1`. */
function groupBytes(groups: string): readonly number[] {
  if (groups === '') return [];
  return groups.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
