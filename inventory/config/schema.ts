// The shape of pools.yaml, key by key: the allowed values, and what each becomes. docs/device-plugin.md explains the keys to an admin.
// It uses zod's small edition, because the full one costs a resident process 7 MB, mostly translations.
import * as z from 'zod/mini';
import { defined } from '../../host/base/defined.ts';
import { messageOf } from '../../host/base/errors.ts';
import { parsePciAddress } from '../../host/base/pci-address.ts';
import { isNeverOffered, vfDrivers } from '../../vnic/drivers.ts';
import { type OfferedType, offeredTypes, offers } from '../../vnic/index.ts';
import { numaPolicies } from './numa.ts';
import { parsePciId, parsePfRange, parseRootDevice } from './ranges.ts';
import { domainProblem, resourceNameProblem } from './resource-name.ts';
import { capabilities, type Selector, selectorKeys } from './selectors.ts';

/** A text that `parse` turns into a value. Its error follows the text: `"eth0#" has …`. */
function parsed<T>(parse: (text: string) => T) {
  return z.pipe(
    z.unknown(),
    z.transform((value, context) => {
      try {
        return parse(readText(value));
      } catch (error) {
        context.issues.push({ code: 'custom', message: messageOf(error), input: value });
        return z.NEVER;
      }
    }),
  );
}

/** YAML reads 8086 as a number, and 0770 as seven hundred and seventy. */
function readText(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Error(
    typeof value === 'number' ? 'is a number to YAML; put it in quotes' : 'is not a text; write one value in quotes',
  );
}

function checked(problem: (text: string) => string | undefined) {
  return parsed((text) => {
    const words = problem(text);
    if (words !== undefined) throw new Error(words);
    return text;
  });
}

function listOf<T extends z.ZodMiniType>(element: T) {
  const remedy = 'is an empty list; name at least one value, or leave the key out';
  return z.array(element).check(z.refine((list) => list.length > 0, remedy));
}

const word = checked((text) => (text.trim() === '' ? 'is empty; write a name, or leave the key out' : undefined));

const driver = checked((text) => {
  if (text.trim() === '') return 'is empty; write a name, or leave the key out';
  return isNeverOffered(text)
    ? 'is a driver whose VFs no pod can get; bind these VFs to vfio-pci, and write "vfio-pci"'
    : undefined;
});

const selectorShape = z.strictObject({
  vendors: z.optional(listOf(parsed(parsePciId))),
  devices: z.optional(listOf(parsed(parsePciId))),
  drivers: z.optional(listOf(driver)),
  pciAddresses: z.optional(listOf(parsed(parsePciAddress))),
  pfNames: z.optional(listOf(parsed(parsePfRange))),
  rootDevices: z.optional(listOf(parsed(parseRootDevice))),
  linkTypes: z.optional(listOf(z.enum(['ether', 'infiniband']))),
  eswitchMode: z.optional(z.enum(['legacy', 'switchdev'])),
  capabilities: z.optional(listOf(z.enum(capabilities))),
});

const emptySelector = `is empty and would take every VF of the node; write at least one of ${selectorKeys.join(', ')}`;
const selector = z.pipe(
  selectorShape.check(z.refine((keys) => Object.keys(keys).length > 0, emptySelector)),
  z.transform((keys): Selector => defined(keys)),
);

const userId = z.int().check(z.minimum(0), z.maximum(0xfffffffe));
const vhostShape = z.strictObject({
  mode: z._default(parsed(parseMode), 0o770),
  uid: z._default(userId, 0),
  gid: z._default(userId, 0),
});

function parseMode(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new Error('is not a directory mode; write three octal digits in quotes: "0770"');
  return Number.parseInt(text, 8);
}

const resourceName = checked(resourceNameProblem);
const resourceNames = z.strictObject(Object.fromEntries(offeredTypes.map((type) => [type, z.optional(resourceName)])));

const poolShape = z.strictObject({
  name: checked((text) =>
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
      ? undefined
      : 'is not a pool name; use 1-63 of a-z, 0-9 and - (not at the ends)',
  ),
  vnicType: z.union([z.enum(offeredTypes), listOf(z.enum(offeredTypes))]),
  resourceName: z.optional(z.union([resourceName, resourceNames])),
  resourcePrefix: z.optional(checked(domainProblem)),
  driver: z.optional(z.enum(vfDrivers)),
  selectors: z.optional(listOf(selector)),
  slots: z.optional(z.int().check(z.minimum(1), z.maximum(1000))),
  numaPolicy: z.optional(z.enum(numaPolicies)),
  allocation: z.optional(z.enum(['pack', 'spread'])),
  cdi: z._default(z.boolean(), false),
  vhost: z.prefault(vhostShape, {}),
  bridge: z.optional(word),
  forwarder: z.optional(
    checked((text) => (text.startsWith('/') ? undefined : "is not an absolute path; write that of the forwarder's socket")),
  ),
});

const slotTypes = offeredTypes.filter((type) => offers[type].slots);
/** Keys that mean nothing to slots. */
const vfKeys = ['selectors', 'driver', 'numaPolicy', 'allocation'] as const;
const vfDefaults = { driver: vfDrivers[0], selectors: [], numaPolicy: 'preferred', allocation: 'pack' } as const;

const pool = z.pipe(
  poolShape,
  z.transform(({ vnicType, resourceName: names, ...rest }, context) => {
    const types = [...new Set([vnicType].flat())];
    const refuse = (path: readonly string[], message: string) =>
      context.issues.push({ code: 'custom', path: [...path], message, input: names });
    if (rest.slots === undefined && rest.selectors === undefined)
      refuse([], 'has neither selectors nor slots; write which VFs it offers, or how many slots of ovs-dpdk');
    if (rest.slots !== undefined) {
      for (const key of vfKeys)
        if (rest[key] !== undefined) refuse([key], 'is for VFs, and a pool with slots has none; take it out');
      for (const type of types.filter((one) => !offers[one].slots))
        refuse(['vnicType'], `has ${type}, which gives VFs away, and slots are none; write ${slotTypes.join(' or ')}`);
    }
    if (typeof names === 'string' && types.length > 1) {
      refuse(['resourceName'], `is one name for several vnic types; write resourceName: { ${nameApart(names, types)} }`);
    }
    for (const type of typeof names === 'object' ? offeredTypes : []) {
      if (typeof names === 'object' && names[type] !== undefined && !types.includes(type)) {
        refuse(['resourceName', type], 'names a vnic type that the pool does not have; add it to vnicType');
      }
    }
    const nameOf = (type: OfferedType) => (typeof names === 'string' ? names : names?.[type]) ?? type;
    return defined({ ...vfDefaults, ...defined(rest), resources: types.map((type) => ({ name: nameOf(type), vnicType: type })) });
  }),
);

/** Proposes a name for each type. The first type keeps the name: `direct: fast, virtio-forwarder: fast-virtio`. */
function nameApart(name: string, types: readonly OfferedType[]): string {
  return types.map((type, at) => `${type}: ${at === 0 ? name : `${name}-${type.split('-')[0]}`}`).join(', ');
}

/** The list of pools may be empty, because a node (or a cluster) without SmartNICs offers nothing. */
export const poolsSchema = z.strictObject({
  resourcePrefix: z._default(checked(domainProblem), 'smartnic.io'),
  pools: z.array(pool),
});

const keysAt: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^$/, Object.keys(poolsSchema.shape)],
  [/^pools\.\d+$/, Object.keys(poolShape.shape)],
  [/^pools\.\d+\.selectors\.\d+$/, selectorKeys],
  [/^pools\.\d+\.vhost$/, Object.keys(vhostShape.shape)],
];

/** The keys that are allowed in the map at that path. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  const at = path.map(String).join('.');
  return keysAt.find(([pattern]) => pattern.test(at))?.[1] ?? [];
}
