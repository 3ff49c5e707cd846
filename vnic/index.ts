// The vnic types, in Neutron's spelling. A new type is one file, and one line in the table of each face that it has. No other file names a type.
// The faces are two constants, because the device plugin's bundle must stay free of the plugging code: a bundler leaves out a constant that
// nobody uses, but never a property.
import * as direct from './direct.ts';
import * as normal from './normal.ts';
import * as virtioForwarder from './virtio-forwarder.ts';
import type { Cable, Offer } from './vnic.ts';

const plugged = {
  normal: normal.cable,
  direct: direct.cable,
  'virtio-forwarder': virtioForwarder.cable,
} as const satisfies Readonly<Record<string, Cable>>;

/** How the interfaces of each type are plugged. */
export const cables: Readonly<Record<VnicType, Cable>> = plugged;

/** What the device plugin offers. The compiler requires a line for every type that reserves something, and allows no other. */
export const offers: Readonly<Record<OfferedType, Offer>> = {
  direct: direct.offer,
  'virtio-forwarder': virtioForwarder.offer,
};

/** The type of an interface when nothing names one. */
export const defaultType: VnicType = 'normal';

/** The type of a pool that was taken over from the SR-IOV network device plugin. */
export const sriovType: OfferedType = 'direct';

export type VnicType = keyof typeof plugged;
export type OfferedType = {
  [T in VnicType]: ReturnType<(typeof plugged)[T]['reserves']> extends undefined ? never : T;
}[VnicType];

// Marked as pure. Otherwise a bundler would keep the call, and all cables with it, where nobody uses the list.
export const vnicTypes = /* @__PURE__ */ Object.keys(cables) as readonly VnicType[];
export const offeredTypes = /* @__PURE__ */ Object.keys(offers) as readonly OfferedType[];

export function isVnicType(text: unknown): text is VnicType {
  return typeof text === 'string' && Object.hasOwn(cables, text);
}

export function isOffered(type: VnicType): type is OfferedType {
  return Object.hasOwn(offers, type);
}
