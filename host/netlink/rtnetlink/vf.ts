// The attributes of a VF as its PF's driver keeps them (IFLA_VFINFO_LIST, linux/if_link.h): records to message bodies and back. Pure.
import { attribute, attributeMap, decodeAttributes, type Message, nested, readU32, u32 } from '../wire/codec.ts';
import { formatMac, parseMac } from './inet.ts';

const vfLinkStates = ['auto', 'enable', 'disable'] as const;
export type VfLinkState = (typeof vfLinkStates)[number];

/** What the PF's driver says about one VF. A member is absent when the driver says nothing about it. */
export interface VfSettings {
  /** N of the pf's virtfnN. */
  readonly index: number;
  /** The MAC that the PF gives to the VF or has learned from it; all zeros: none. */
  readonly mac: string;
  readonly vlan: VfVlan;
  readonly rate: VfRate;
  readonly linkState: VfLinkState;
  readonly spoofchk?: boolean;
  readonly trust?: boolean;
}

export interface VfVlan {
  /** 0: frames leave as the VF made them. */
  readonly id: number;
  /** Priority 0-7 of the frames in that VLAN. */
  readonly qos: number;
  /** `802.1ad`: an outer tag. Absent: 802.1Q. */
  readonly protocol?: '802.1ad';
}

/** Mbit/s; 0: no limit. */
export interface VfRate {
  readonly min: number;
  readonly max: number;
}

export type VfChange = Partial<Omit<VfSettings, 'index'>>;

const IFLA_VFINFO_LIST = 22;
const IFLA_EXT_MASK = 29;
const IFLA_VF_INFO = 1;
const VF = { mac: 1, vlan: 2, spoofchk: 4, linkState: 5, rate: 6, trust: 9, vlanList: 12 } as const;
const VF_VLAN_INFO = 1;
const headerSize = 16;
/** The kernel writes this into a yes-or-no attribute when the driver does not tell. */
const untold = 0xffffffff;
const ETH_P_8021AD = 0x88a8;

/** Asks for one link with its vfs, without their counters. */
export function vfQuery(pf: number): Buffer {
  const [RTEXT_FILTER_VF, RTEXT_FILTER_SKIP_STATS] = [1, 8];
  return Buffer.concat([header(pf), u32(IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS)]);
}

/** Empty when the link is no pf, or its driver tells nothing. @throws RangeError when the message is cut short. */
export function decodeVfs({ body }: Message): readonly VfSettings[] {
  const found: VfSettings[] = [];
  for (const info of vfInfos(body.subarray(headerSize))) {
    const vf = decodeVf(attributeMap(info));
    // They come in the order of their numbers. What breaks it is not of this list.
    if (vf === undefined || vf.index <= (found.at(-1)?.index ?? -1)) break;
    found.push(vf);
  }
  return found;
}

/**
 * The entries of the list. An attribute's length has 16 bits, and 400 VFs need more (256 with their counters, which kernels before 5.16 always
 * send). The kernel writes all entries, and of their length the lower 16 bits. So the list goes on as long as entries follow.
 */
function* vfInfos(attributes: Buffer): Generator<Buffer> {
  for (let at = 0; at + 4 <= attributes.length; ) {
    const { type, length } = headerAt(attributes, at);
    if (type !== IFLA_VFINFO_LIST) {
      if (length < 4) return;
      at += (length + 3) & ~3;
      continue;
    }
    for (at += 4; at + 4 <= attributes.length; ) {
      const entry = headerAt(attributes, at);
      if (entry.type !== IFLA_VF_INFO || entry.length < 8 || at + entry.length > attributes.length) return;
      // Each entry begins with its MAC. What does not is the link's next attribute.
      const first = headerAt(attributes, at + 4);
      if (first.type !== VF.mac || first.length < 14 || 4 + first.length > entry.length) return;
      yield attributes.subarray(at + 4, at + entry.length);
      at += (entry.length + 3) & ~3;
    }
  }
}

function headerAt(attributes: Buffer, at: number) {
  return { length: attributes.readUInt16LE(at), type: attributes.readUInt16LE(at + 2) & 0x3fff };
}

function decodeVf(vf: ReadonlyMap<number, Buffer>): VfSettings | undefined {
  const mac = vf.get(VF.mac);
  if (mac === undefined) return undefined;
  const [spoofchk, trust] = [yesOrNo(vf.get(VF.spoofchk)), yesOrNo(vf.get(VF.trust))];
  const [state, rate] = [vf.get(VF.linkState), vf.get(VF.rate)];
  return {
    index: readU32(mac),
    mac: formatMac(mac.subarray(4, 10)),
    vlan: decodeVlan(vf),
    rate: rate === undefined ? { min: 0, max: 0 } : { min: readU32(rate, 4), max: readU32(rate, 8) },
    linkState: vfLinkStates[state === undefined ? 0 : readU32(state, 4)] ?? 'auto',
    ...(spoofchk === undefined ? {} : { spoofchk }),
    ...(trust === undefined ? {} : { trust }),
  };
}

function yesOrNo(value: Buffer | undefined): boolean | undefined {
  const setting = value === undefined ? untold : readU32(value, 4);
  return setting === untold ? undefined : setting !== 0;
}

/** The list knows the protocol, which the older attribute does not; its number is in network byte order. */
function decodeVlan(vf: ReadonlyMap<number, Buffer>): VfVlan {
  const list = vf.get(VF.vlanList);
  const [info] = list === undefined ? [] : decodeAttributes(list).filter(({ type }) => type === VF_VLAN_INFO);
  const value = info?.value ?? vf.get(VF.vlan);
  if (value === undefined) return { id: 0, qos: 0 };
  const stacked = info !== undefined && info.value.length >= 14 && info.value.readUInt16BE(12) === ETH_P_8021AD;
  return { id: readU32(value, 4), qos: readU32(value, 8), ...(stacked ? { protocol: '802.1ad' } : {}) };
}

/** Each attribute is a request of its own, so that a driver's refusal is about one thing. @throws RangeError for an impossible MAC. */
export function encodeVfChange(pf: number, vf: number, change: VfChange): Buffer {
  const { mac, vlan, rate, linkState, spoofchk, trust } = change;
  const info = [
    ...(mac === undefined ? [] : [encodeMac(vf, mac)]),
    ...(vlan === undefined ? [] : [encodeVlan(vf, vlan)]),
    ...(rate === undefined ? [] : [numbers(VF.rate, vf, rate.min, rate.max)]),
    ...(linkState === undefined ? [] : [numbers(VF.linkState, vf, vfLinkStates.indexOf(linkState))]),
    ...(spoofchk === undefined ? [] : [numbers(VF.spoofchk, vf, Number(spoofchk))]),
    ...(trust === undefined ? [] : [numbers(VF.trust, vf, Number(trust))]),
  ];
  return Buffer.concat([header(pf), nested(IFLA_VFINFO_LIST, nested(IFLA_VF_INFO, ...info))]);
}

/** The kernel's field has room for the longest hardware address there is. */
function encodeMac(vf: number, mac: string): Buffer {
  const value = Buffer.alloc(4 + 32);
  value.writeUInt32LE(vf);
  value.set(parseMac(mac), 4);
  return attribute(VF.mac, value);
}

/** Only the list can hold an outer tag. Without one, the older attribute is used, which every driver knows. */
function encodeVlan(vf: number, { id, qos, protocol }: VfVlan): Buffer {
  if (protocol === undefined) return numbers(VF.vlan, vf, id, qos);
  const value = Buffer.alloc(16);
  [vf, id, qos].forEach((each, at) => {
    value.writeUInt32LE(each, at * 4);
  });
  value.writeUInt16BE(ETH_P_8021AD, 12);
  return nested(VF.vlanList, attribute(VF_VLAN_INFO, value));
}

function numbers(type: number, ...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((each, at) => {
    bytes.writeUInt32LE(each, at * 4);
  });
  return attribute(type, bytes);
}

/** `ifinfomsg` */
function header(index: number): Buffer {
  const bytes = Buffer.alloc(headerSize);
  bytes.writeInt32LE(index, 4);
  return bytes;
}
