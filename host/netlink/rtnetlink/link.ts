// Links in rtnetlink's messages (linux/if_link.h, linux/veth.h): records to message bodies and back. Pure.
import type { Netns } from '../../kernel/netns.ts';
import {
  attribute,
  attributeMap,
  decodeAttributes,
  type Message,
  nested,
  optional,
  readI32,
  readText,
  readU8,
  readU32,
  text,
  u8,
  u32,
} from '../wire/codec.ts';
import { formatMac, parseMac } from './inet.ts';

/** A network interface. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Lower-case, colon-separated; empty for a link without one. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  /** Whether it was set up (IFF_UP). This does not say that it has a carrier. */
  readonly up: boolean;
  /** The driver's kind for software links: `veth`, `bridge`, `openvswitch`; absent for hardware. */
  readonly kind?: string;
  readonly alias?: string;
  /** Index of the bridge or bond it belongs to. */
  readonly master?: number;
  /** The number that the kernel gives, from here, to the namespace of the other end, when that is another namespace. */
  readonly linkNetnsid?: number;
  /** A veth's other end: its index in its own namespace. */
  readonly peerIndex?: number;
  /** Further names. udevd gives them, and whoever looks for a link finds it by them, too. */
  readonly altNames?: readonly string[];
  /** `ip link set promisc on` or its like was said. What listens for a moment, as tcpdump does, does not count. */
  readonly promiscuous?: true;
  /** What somebody has made it do beyond its own traffic, in words; absent when nothing is known. */
  readonly extras?: readonly string[];
  /** Address of the device behind it on its bus, `0000:41:10.0`; absent for software links, and on kernels before 5.14. */
  readonly parent?: string;
}

/** A veth pair whose peer is created in another namespace. */
export interface VethPair {
  /** The host end. */
  readonly name: string;
  /** Chosen by the kernel when absent. */
  readonly mac?: string;
  readonly mtu: number;
  /** Text that stays on the host end, 1-255 characters. */
  readonly alias?: string;
  readonly peer: { readonly name: string; readonly mac: string; readonly mtu: number; readonly netns: Netns };
}

/** What can be changed about a link. */
export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  readonly mac?: string;
  readonly name?: string;
  /** Moves it there; its index may change. */
  readonly netns?: Netns;
  /** The empty text takes it away. */
  readonly alias?: string;
  /** `none`: no IPv6 link-local address comes up by itself. */
  readonly ipv6AddressGeneration?: 'none';
}

export const linkTypes = { new: 16, del: 17, get: 18, set: 19, delProperty: 109 } as const;

const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  info: 18,
  alias: 20,
  afSpec: 26,
  netnsFd: 28,
  extMask: 29,
  promiscuity: 30,
  linkNetnsid: 37,
  xdp: 43,
  properties: 52,
  altName: 53,
  parentName: 56,
  allmulti: 61,
};
const INFO_KIND = 1;
const INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFF_UP = 1;
const IFF_PROMISC = 0x100;
const IFF_ALLMULTI = 0x200;
const XDP_ATTACHED = 2;
const headerSize = 16;

/** `ifinfomsg` */
function header(index: number, flags = 0, change = 0): Buffer {
  const bytes = Buffer.alloc(headerSize);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
}

/** Asks for one link (by name or index) or, without either, for all. */
export function linkQuery(which?: string | number): Buffer {
  const RTEXT_FILTER_SKIP_STATS = 8; // counters are half of the answer
  return Buffer.concat([linkReference(which ?? 0), u32(IFLA.extMask, RTEXT_FILTER_SKIP_STATS)]);
}

/** Names one link. @throws RangeError for a name the kernel cannot have. */
export function linkReference(which: string | number): Buffer {
  if (typeof which === 'number') return header(which);
  return Buffer.concat([header(0), text(IFLA.name, linkName(which))]);
}

export function encodeVeth({ name, mac, mtu, peer }: VethPair): Buffer {
  const peerInfo = nested(
    VETH_INFO_PEER,
    header(0), // with IFF_UP the kernel answers ENOTCONN, because the host end is not up yet
    text(IFLA.name, linkName(peer.name)),
    attribute(IFLA.address, parseMac(peer.mac)),
    u32(IFLA.mtu, peer.mtu),
    u32(IFLA.netnsFd, peer.netns.fd),
  );
  return Buffer.concat([
    header(0),
    text(IFLA.name, linkName(name)),
    u32(IFLA.mtu, mtu),
    ...(mac === undefined ? [] : [attribute(IFLA.address, parseMac(mac))]),
    nested(IFLA.info, text(INFO_KIND, 'veth'), nested(INFO_DATA, peerInfo)),
  ]);
}

export function encodeLinkChange(index: number, change: LinkChange): Buffer {
  const { up, mtu, mac, name, netns, alias } = change;
  return Buffer.concat([
    up === undefined ? header(index) : header(index, up ? IFF_UP : 0, IFF_UP),
    ...(mtu === undefined ? [] : [u32(IFLA.mtu, mtu)]),
    ...(mac === undefined ? [] : [attribute(IFLA.address, parseMac(mac))]),
    ...(name === undefined ? [] : [text(IFLA.name, linkName(name))]),
    ...(netns === undefined ? [] : [u32(IFLA.netnsFd, netns.fd)]),
    ...(alias === undefined ? [] : [alias === '' ? attribute(IFLA.alias, Buffer.alloc(0)) : text(IFLA.alias, alias)]),
    ...(change.ipv6AddressGeneration === undefined ? [] : [noGeneratedAddress()]),
  ]);
}

/** Names of a link that are to be taken away. The kernel refuses all of them when it has one of them not. */
export function encodeAltNames(index: number, names: readonly string[]): Buffer {
  return Buffer.concat([header(index), nested(IFLA.properties, ...names.map((name) => text(IFLA.altName, name)))]);
}

function noGeneratedAddress(): Buffer {
  const AF_INET6 = 10;
  const IFLA_INET6_ADDR_GEN_MODE = 8;
  const IN6_ADDR_GEN_MODE_NONE = 1;
  return nested(IFLA.afSpec, nested(AF_INET6, u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE)));
}

/** @throws RangeError when the message is cut short. */
export function decodeLink({ body }: Message): Link {
  const attributes = attributeMap(body.subarray(headerSize));
  const kind = kindOf(attributes.get(IFLA.info));
  return {
    index: readU32(body, 4),
    name: readText(attributes.get(IFLA.name) ?? Buffer.alloc(0)),
    mac: formatMac(attributes.get(IFLA.address) ?? Buffer.alloc(0)),
    mtu: readU32(attributes.get(IFLA.mtu) ?? Buffer.alloc(4)),
    up: (readU32(body, 8) & IFF_UP) !== 0,
    ...(kind === undefined ? {} : { kind }),
    ...optional('alias', attributes.get(IFLA.alias), readText),
    ...optional('master', attributes.get(IFLA.master), readU32),
    ...optional('linkNetnsid', attributes.get(IFLA.linkNetnsid), readI32),
    ...optional('altNames', attributes.get(IFLA.properties), altNamesIn),
    ...extrasOf(readU32(body, 8), attributes),
    ...optional('parent', attributes.get(IFLA.parentName), readText),
    ...optional('peerIndex', kind === 'veth' ? attributes.get(IFLA.link) : undefined, readU32),
  };
}

function altNamesIn(properties: Buffer): readonly string[] {
  return decodeAttributes(properties).flatMap(({ type, value }) => (type === IFLA.altName ? [readText(value)] : []));
}

/** The counters tell of those who ask for it inside the kernel, such as tcpdump, besides the flags that `ip link` sets. */
function extrasOf(linkFlags: number, attributes: ReadonlyMap<number, Buffer>): Pick<Link, 'extras' | 'promiscuous'> {
  const isCounted = (type: number) => readU32(attributes.get(type) ?? Buffer.alloc(4)) > 0;
  const xdp = attributeMap(attributes.get(IFLA.xdp) ?? Buffer.alloc(0)).get(XDP_ATTACHED);
  const all: Readonly<Record<string, boolean>> = {
    promiscuous: (linkFlags & IFF_PROMISC) !== 0 || isCounted(IFLA.promiscuity),
    allmulticast: (linkFlags & IFF_ALLMULTI) !== 0 || isCounted(IFLA.allmulti),
    'an XDP program': xdp !== undefined && readU8(xdp) !== 0,
  };
  const extras = Object.keys(all).filter((each) => all[each]);
  return {
    ...((linkFlags & IFF_PROMISC) !== 0 && { promiscuous: true }),
    ...(extras.length > 0 && { extras }),
  };
}

function kindOf(info: Buffer | undefined): string | undefined {
  const kind = info && attributeMap(info).get(INFO_KIND);
  return kind && readText(kind);
}

/** The kernel's dev_valid_name: 1-15 bytes without slash, colon and white space. */
function linkName(name: string): string {
  const valid = Buffer.byteLength(name) < 16 && /^[^\s/:]+$/.test(name) && name !== '.' && name !== '..';
  if (!valid) throw new RangeError(`"${name}" cannot be a link's name: 1-15 bytes, no slash, colon or white space`);
  return name;
}
