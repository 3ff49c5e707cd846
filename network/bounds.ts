// The bounds on networks in the node's configuration: what the networks of a namespace's pods may ask for. Pure. within-bounds.ts holds a network
// against them.
import { z } from 'zod';
import { ovsdbAddress } from '../host/ovs/address.ts';

const greatestVlan = 4094;

const names = z.array(z.string().min(1).max(253));

/** `100`, or `"100-199"`. */
const vlanRange = z.union([
  z.int().min(1).max(greatestVlan),
  z
    .string()
    .regex(/^\d{1,4}(-\d{1,4})?$/, 'is neither a VLAN nor a range such as "100-199"')
    .refine((text) => {
      const { first, last } = rangeOf(text);
      return first >= 1 && first <= last && last <= greatestVlan;
    }, `is not a range of VLANs: from 1 to ${greatestVlan}, the lower one first`),
]);

/** Everything that a rule does not name is not allowed, unless its line says otherwise. `*` in a name stands for any text. */
const rule = z.strictObject({
  /** Of the pods. */
  namespaces: names.min(1),
  bridges: names.min(1),
  /** VLANs of access ports, and the one beside a trunk. */
  vlans: z.array(vlanRange).default([]),
  /** Whether a network may be without a VLAN. */
  untagged: z.boolean().default(true),
  /** VLANs that a port may carry with their tags, or `all`. */
  trunks: z.union([z.array(vlanRange), z.literal('all')]).default([]),
  /** Besides the node's own. */
  ovsdb: z.array(ovsdbAddress).default([]),
  /** Types of IPAM plugins. They run as root on the node, with what the network says. */
  ipam: names.default(['host-local', 'static', 'dhcp', 'whereabouts']),
  mtu: z
    .strictObject({ min: z.int().min(68).default(68), max: z.int().max(65535).default(65535) })
    .refine(({ min, max }) => min <= max, 'has its min above its max')
    .prefault({}),
  createBridge: z.boolean().default(false),
  trust: z.boolean().default(false),
  /** Whether a network may switch the spoof check off. */
  spoofchkOff: z.boolean().default(false),
  /** Whether a network may name a MAC, or let its pods do so. */
  mac: z.boolean().default(false),
  /** Keys of external_ids. */
  externalIds: names.default([]),
  /** `always`: the node's hooks run whether the network asks for them or not. */
  hooks: z.enum(['as the network says', 'always', 'never']).default('as the network says'),
});

/** The first rule that names the pod's namespace counts. */
export const boundsShape = z.array(rule).min(1);

export type Bounds = Readonly<z.output<typeof boundsShape>>;
export type Rule = Bounds[number];
type VlanRange = Rule['vlans'][number];

export const ruleKeys = Object.keys(rule.shape);

export interface Range {
  readonly first: number;
  readonly last: number;
}

export function rangeOf(range: VlanRange): Range {
  if (typeof range === 'number') return { first: range, last: range };
  const [first = '', last = first] = range.split('-');
  return { first: Number(first), last: Number(last) };
}
