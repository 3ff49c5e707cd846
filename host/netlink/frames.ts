// Ethernet frames that tell the neighbours that an address is now behind a MAC. Pure; announce.ts sends them.
import { parseIp, parseMac } from './rtnetlink/inet.ts';

/**
 * Gratuitous ARP in its request form (RFC 5227, 3): "who has `ip`? tell `ip`".
 * @returns 42 bytes. @throws RangeError unless a MAC and an IPv4 address.
 */
export function gratuitousArp(mac: string, ip: string): Buffer {
  const sender = parseMac(mac);
  const address = parse(ip, 4);
  return Buffer.concat([
    ethernet({ to: 'ff:ff:ff:ff:ff:ff', from: sender, type: 0x0806 }),
    Buffer.of(0, 1, 8, 0, 6, 4, 0, 1), // Ethernet, IPv4, their sizes, request
    sender,
    address,
    Buffer.alloc(6), // the target's MAC is not known
    address,
  ]);
}

/**
 * Unsolicited neighbour advertisement to all nodes, telling them to override what they cached (RFC 4861, 7.2.6).
 * @returns 86 bytes. @throws RangeError unless a MAC and an IPv6 address.
 */
export function unsolicitedAdvertisement(mac: string, ip: string): Buffer {
  const sender = parseMac(mac);
  const source = parse(ip, 6);
  const allNodes = parse('ff02::1', 6);
  const advertisement = Buffer.concat([
    Buffer.of(136, 0, 0, 0, 0x20, 0, 0, 0), // type, code, checksum, override flag
    source,
    Buffer.of(2, 1), // option: target link-layer address, 8 bytes
    sender,
  ]);
  const lengthAndProtocol = Buffer.of(0, 0, 0, advertisement.length, 0, 0, 0, 58);
  advertisement.writeUInt16BE(checksum(Buffer.concat([source, allNodes, lengthAndProtocol, advertisement])), 2);
  return Buffer.concat([
    ethernet({ to: '33:33:00:00:00:01', from: sender, type: 0x86dd }),
    Buffer.of(0x60, 0, 0, 0, 0, advertisement.length, 58, 255), // a hop limit below 255 makes receivers drop it
    source,
    allNodes,
    advertisement,
  ]);
}

function ethernet({ to, from, type }: { readonly to: string; readonly from: Buffer; readonly type: number }): Buffer {
  return Buffer.concat([parseMac(to), from, Buffer.of(type >> 8, type & 0xff)]);
}

function parse(text: string, wanted: 4 | 6): Buffer {
  const { family, ip } = parseIp(text);
  if (family !== wanted) throw new RangeError(`"${text}" is not an IPv${wanted} address`);
  return ip;
}

/** The Internet checksum (RFC 1071) of an even number of bytes. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
