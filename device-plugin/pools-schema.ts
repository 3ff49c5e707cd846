// The shape of pools.yaml, key by key: what may stand there and what it becomes. docs/device-plugin.md explains it to its writer.
import { z } from 'zod';
import { defined } from '../host/defined.ts';
import { messageOf } from '../host/errors.ts';
import { numaPolicies } from './numa.ts';
import { parsePciAddress, parsePciId, parsePfRange, parseRootDevice } from './ranges.ts';
import { domainProblem, resourceNameProblem } from './resource-name.ts';
import { capabilities, type Selector, selectorKeys } from './selectors.ts';

const vnicTypes = ['direct', 'virtio-forwarder'] as const;

/** A text that a parser turns into something; its error follows the value: `"eth0#" has …`. */
function parsed<T>(parse: (text: string) => T) {
  return z.unknown().transform((value, context) => {
    try {
      return parse(readText(value));
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
      return z.NEVER;
    }
  });
}

/** YAML reads 8086 as a number and 0770 as seven hundred and seventy. */
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

function listOf<T extends z.ZodType>(element: T) {
  return z.array(element).refine((list) => list.length > 0, 'is an empty list; name at least one value, or leave the key out');
}

const word = checked((text) => (text.trim() === '' ? 'is empty; write a name, or leave the key out' : undefined));

const selectorShape = z.strictObject({
  vendors: listOf(parsed(parsePciId)).optional(),
  devices: listOf(parsed(parsePciId)).optional(),
  drivers: listOf(word).optional(),
  pciAddresses: listOf(parsed(parsePciAddress)).optional(),
  pfNames: listOf(parsed(parsePfRange)).optional(),
  rootDevices: listOf(parsed(parseRootDevice)).optional(),
  linkTypes: listOf(z.enum(['ether', 'infiniband'])).optional(),
  eswitchMode: z.enum(['legacy', 'switchdev']).optional(),
  capabilities: listOf(z.enum(capabilities)).optional(),
});

const selector = selectorShape
  .refine(
    (keys) => Object.keys(keys).length > 0,
    `is empty and would take every VF of the node; write at least one of ${selectorKeys.join(', ')}`,
  )
  .transform((keys): Selector => defined(keys));

const vhostShape = z.strictObject({
  mode: parsed(parseMode).default(0o770),
  uid: z.int().min(0).max(0xfffffffe).default(0),
  gid: z.int().min(0).max(0xfffffffe).default(0),
});

function parseMode(text: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw new Error('is not a directory mode; write three octal digits in quotes: "0770"');
  return Number.parseInt(text, 8);
}

const resourceName = checked(resourceNameProblem);
const resourceNames = z.strictObject({ direct: resourceName.optional(), 'virtio-forwarder': resourceName.optional() });

const poolShape = z.strictObject({
  name: checked((text) =>
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)
      ? undefined
      : 'is not a pool name; use 1-63 of a-z, 0-9 and - (not at the ends)',
  ),
  vnicType: z.union([z.enum(vnicTypes), listOf(z.enum(vnicTypes))]),
  resourceName: z.union([resourceName, resourceNames]).optional(),
  resourcePrefix: checked(domainProblem).optional(),
  driver: z.enum(['vfio-pci', 'kernel']).default('vfio-pci'),
  selectors: listOf(selector),
  numaPolicy: z.enum(numaPolicies).default('preferred'),
  allocation: z.enum(['pack', 'spread']).default('pack'),
  cdi: z.boolean().default(false),
  vhost: vhostShape.prefault({}),
  bridge: word.optional(),
  forwarder: checked((text) =>
    text.startsWith('/') ? undefined : "is not an absolute path; write that of the forwarder's socket",
  ).optional(),
});

const pool = poolShape.transform(({ vnicType, resourceName: names, ...rest }, context) => {
  const types = [...new Set([vnicType].flat())];
  const refuse = (path: readonly string[], message: string) => context.addIssue({ code: 'custom', path: [...path], message });
  if (typeof names === 'string' && types.length > 1) {
    const remedy = `write resourceName: { direct: ${names}, virtio-forwarder: ${names}-virtio }`;
    refuse(['resourceName'], `is one name for two vnic types; ${remedy}`);
  }
  for (const type of typeof names === 'object' ? vnicTypes : []) {
    if (typeof names === 'object' && names[type] !== undefined && !types.includes(type)) {
      refuse(['resourceName', type], 'names a vnic type that the pool does not have; add it to vnicType');
    }
  }
  const nameOf = (type: (typeof vnicTypes)[number]) => (typeof names === 'string' ? names : names?.[type]) ?? type;
  return defined({ ...rest, resources: types.map((type) => ({ name: nameOf(type), vnicType: type })) });
});

/** An empty list of pools is allowed: a node (or a cluster) without SmartNICs offers nothing. */
const document = z.strictObject({
  resourcePrefix: checked(domainProblem).default('smartnic.io'),
  pools: z.array(pool),
});
export const poolsSchema = document;

const keysAt: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^$/, Object.keys(document.shape)],
  [/^pools\.\d+$/, Object.keys(poolShape.shape)],
  [/^pools\.\d+\.selectors\.\d+$/, selectorKeys],
  [/^pools\.\d+\.vhost$/, Object.keys(vhostShape.shape)],
];

/** The keys that may stand in the map at that path. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  const at = path.map(String).join('.');
  return keysAt.find(([pattern]) => pattern.test(at))?.[1] ?? [];
}
