// The network configuration: what an admin writes in a conflist or NetworkAttachmentDefinition, and the keys that libcni, Multus and the CNI
// conventions add. It is strict: an unknown key is an error, because a mistyped `vlan` would put a pod on the wrong network.
import { z } from 'zod';
import { explain } from '../host/base/explain.ts';
import { ovsdbAddress } from '../host/ovs/address.ts';
import { vnicTypes } from '../vnic/index.ts';
import { noteOnKey } from './peer-keys.ts';
import { Refusal } from './refusal.ts';
import { vfKeys, vfKeysProblem } from './vf-keys.ts';

/** What a network may be long. Its author is not the node's admin, and each pod's port carries a copy in Open vSwitch's database. */
const [maxTrunkEntries, maxExternalIds, maxExternalIdLength] = [128, 16, 256];

const vlan = z.int().min(0).max(4094);

/** A unicast address. It is in lower case once it was read. */
export const mac = z
  .string()
  .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i, 'is not a MAC address of the form 02:00:00:00:00:01')
  .refine((text) => (Number.parseInt(text.slice(0, 2), 16) & 1) === 0, 'is a multicast address; the second digit must be even')
  .refine((text) => !/^(00:){5}00$/.test(text), 'is all zeros')
  .transform((text) => text.toLowerCase());

const trunkEntry = z.union([
  z.strictObject({ id: vlan }),
  z.strictObject({ minID: vlan, maxID: vlan }).refine((range) => range.minID <= range.maxID, 'has its minID above its maxID'),
]);

/** The word for all VLANs. They must be asked for: a network that names neither `vlan` nor `trunk` is untagged. */
const trunk = z.union([z.array(z.unknown()).min(1).max(maxTrunkEntries).pipe(z.array(trunkEntry)), z.literal('all')]);

/** Others read the keys in external_ids. A network can't overwrite those that we write. */
const reserved = /^(smartnic-|iface-|attached-mac$|vm-id$|vm-uuid$|cont(Iface|Netns|PodUid)$|owner$)/;
const externalIds = z
  .record(z.string().min(1).max(maxExternalIdLength), z.string().max(maxExternalIdLength))
  .refine((ids) => Object.keys(ids).length <= maxExternalIds, `has more than ${maxExternalIds} keys`)
  .refine(
    (ids) => !Object.keys(ids).some((key) => reserved.test(key)),
    'sets a key that smartnic writes itself (iface-*, vm-id, owner, smartnic-*, …)',
  );

const dns = z.looseObject({
  nameservers: z.array(z.string()).optional(),
  domain: z.string().optional(),
  search: z.array(z.string()).optional(),
  options: z.array(z.string()).optional(),
});

/** The capability `dns` uses other key names than `dns` does (CNI conventions, "dynamic plugin fields"). */
const capabilityDns = z
  .looseObject({
    servers: z.array(z.string()).optional(),
    searches: z.array(z.string()).optional(),
    options: z.array(z.string()).optional(),
  })
  .transform(({ servers, searches, options }) => ({ nameservers: servers, search: searches, options }));

const ipam = z.looseObject({
  type: z
    .string()
    .regex(/^[^/\\\0]+$/, 'is not the name of an executable: no slashes')
    .refine((type) => type !== '.' && type !== '..', 'is not the name of an executable')
    .refine((type) => type !== 'smartnic', 'is smartnic itself, which gives no addresses')
    .optional(),
});

const attachment = z.looseObject({ containerID: z.string(), ifname: z.string() });

/** Keys that runtimes add. They are read as far as we use them, and never refused. */
const injected = {
  cniVersion: z.string().optional(),
  cniVersions: z.array(z.string()).optional(),
  args: z.looseObject({ cni: z.looseObject({ vnicType: z.unknown().optional(), mac: mac.optional() }).optional() }).optional(),
  runtimeConfig: z
    .looseObject({
      mac: mac.optional(),
      dns: capabilityDns.optional(),
      deviceID: z.string().optional(),
      CNIDeviceInfoFile: z.string().optional(),
    })
    .optional(),
  capabilities: z.record(z.string(), z.boolean()).optional(),
  prevResult: z.looseObject({}).optional(),
  'cni.dev/valid-attachments': z.array(attachment).nullable().optional(),
  'cni.dev/attachments': z.unknown().optional(),
  deviceID: z.string().optional(),
  pciBusID: z.string().optional(),
  disableCheck: z.unknown().optional(),
  disableGC: z.unknown().optional(),
};

const networkConfig = z
  .strictObject({
    ...injected,
    name: z.string(),
    type: z.string(),
    bridge: z.string().regex(/^[^\s/:\0]{1,15}$/, 'is not a bridge name: 1-15 characters without /, : and white space'),
    createBridge: z.boolean().default(false),
    vnicType: z.enum(vnicTypes).optional(),
    allowedVnicTypes: z
      .array(z.enum(vnicTypes))
      .min(1)
      .default([...vnicTypes]),
    vlan: vlan.optional(),
    trunk: trunk.optional(),
    mtu: z.int().min(68).max(65535).optional(),
    mac: mac.optional(),
    /** Let the pod choose its MAC. Otherwise its author could take another pod's. */
    allowPodMac: z.boolean().default(false),
    ipam: ipam.optional(),
    dns: dns.optional(),
    ovsdb: ovsdbAddress.optional(),
    externalIds: externalIds.default({}),
    ...vfKeys,
    /** Run the node's hooks for this network. */
    hooks: z.boolean().default(false),
    /** Seconds that the executable waits for a server that restarts. Only the executable (cni/shim) reads this. */
    serverWait: z.number().min(0).max(110).optional(),
  })
  .refine((config) => config.vnicType === undefined || config.allowedVnicTypes.includes(config.vnicType), {
    path: ['vnicType'],
    message: 'is not among allowedVnicTypes',
  })
  .refine((config) => config.ipam?.type === undefined || config.ipam.type !== config.type, {
    path: ['ipam', 'type'],
    message: 'is smartnic itself, which gives no addresses',
  })
  .superRefine((config, context) => {
    const found = vfKeysProblem(config);
    if (found !== undefined) context.addIssue({ code: 'custom', path: [found.key], message: found.problem });
  });

export type NetworkConfig = Readonly<z.output<typeof networkConfig>>;

/**
 * @throws Refusal that names key and value. `lenient` is for DEL and GC. It leaves out what can't be used, so that a configuration that was
 * broken after the ADD can't keep a pod from being removed.
 */
export function parseNetworkConfig(
  raw: Readonly<Record<string, unknown>>,
  { lenient }: { readonly lenient: boolean },
): NetworkConfig {
  const parsed = networkConfig.safeParse(raw);
  if (parsed.success) return parsed.data;
  if (lenient) return salvage(raw, parsed.error);
  const unknown = parsed.error.issues.find((issue) => issue.code === 'unrecognized_keys' && issue.path.length === 0);
  throw new Refusal(explain(parsed.error, raw, { known: { '': knownKeys }, note: noteOnKey }), {
    kind: unknown ? 'unknown key' : 'bad value',
  });
}

const knownKeys = Object.keys(networkConfig.shape).filter((key) => !(key in injected));

/** Keeps each key that is usable by itself, for DEL and GC. It repeats, because some errors show only when the others are gone. */
function salvage(raw: Readonly<Record<string, unknown>>, error: z.ZodError): NetworkConfig {
  const bad = new Set(
    error.issues.flatMap(({ path: [key], ...issue }) =>
      key === undefined && issue.code === 'unrecognized_keys' ? issue.keys : [String(key)],
    ),
  );
  const usable = Object.fromEntries(Object.entries(raw).filter(([key]) => !bad.has(key)));
  const parsed = networkConfig.safeParse({ type: 'smartnic', bridge: 'unknown', ...usable, name: raw['name'] });
  return parsed.success ? parsed.data : salvage(usable, parsed.error);
}

/** Every VLAN of a trunk once, in ascending order, or the word `all`. */
export function trunkVlans(trunk: NonNullable<NetworkConfig['trunk']>): readonly number[] | 'all' {
  if (trunk === 'all') return trunk;
  const vlans = new Set<number>();
  for (const entry of trunk) {
    const [first, last] = 'id' in entry ? [entry.id, entry.id] : [entry.minID, entry.maxID];
    for (let each = first; each <= last; each++) vlans.add(each);
  }
  return [...vlans].sort((a, b) => a - b);
}
