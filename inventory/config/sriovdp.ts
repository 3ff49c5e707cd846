// Reads the SR-IOV network device plugin's config.json as it is: every pool becomes a pool of vnic type `direct`. What that plugin drops
// silently, and what we can't do, becomes a warning with its line. The keys are those of version 3.11.

import { ConfigError } from '../../host/base/config-error.ts';
import { isRecord } from '../../host/base/json.ts';
import type { Positions } from '../../host/base/positions.ts';
import { isVfioDriver } from '../../host/nic/vfio-driver.ts';
import { sriovType } from '../../vnic/index.ts';
import type { Config, Pool } from './pool.ts';
import { domainProblem, resourceNameProblem } from './resource-name.ts';
import { entriesOf, type Fields } from './sriovdp-fields.ts';
import { type Imported, importSelector } from './sriovdp-selectors.ts';

export function isSriovdp(value: unknown): value is Fields {
  return isRecord(value) && entriesOf(value).has('resourcelist');
}

/** @throws ConfigError where that plugin would refuse the file, too. */
export function importSriovdp(file: string, value: Fields, positions: Positions, defaultPrefix: string): Config {
  const list = entriesOf(value).get('resourcelist')?.value;
  if (!Array.isArray(list))
    throw new ConfigError([`${positions.at(1)}: resourceList: is not a list; write "resourceList": [ … ]`]);
  const notes: string[] = [];
  const pools = list.flatMap((entry: unknown, at) => {
    const line = positions.line(['resourceList', at]);
    const warn = (words: string) => notes.push(`${positions.at(line)}: ${words}`);
    const refuse = (words: string) => new ConfigError([`${positions.at(line)}: ${words}`]);
    return importPool(entry, { line, defaultPrefix, warn, refuse });
  });
  return { file, pools: tellApart(pools), overlap: 'first', warnings: notes };
}

/** Two pools may have one name under different prefixes. We tell pools apart by their names, so these get their prefix in front. */
function tellApart(pools: readonly Pool[]): readonly Pool[] {
  const count = Map.groupBy(pools, ({ name }) => name);
  return pools.map((pool) => {
    const resource = pool.resources[0]?.name;
    return resource !== undefined && (count.get(pool.name)?.length ?? 0) > 1 ? { ...pool, name: resource } : pool;
  });
}

interface Job {
  readonly line: number;
  readonly defaultPrefix: string;
  readonly warn: Warn;
  readonly refuse: (words: string) => Error;
}

type Warn = (words: string) => void;

const knownKeys: ReadonlySet<string> = new Set(
  // The last two are that plugin's own fields without a meaning in the file. The SR-IOV network operator writes them.
  [
    ...['resourceName', 'resourcePrefix', 'deviceType', 'excludeTopology', 'selectors', 'additionalInfo'],
    ...['SelectorObj', 'SelectorObjs'],
  ].map((key) => key.toLowerCase()),
);

/** The device types of that plugin that we have nothing for. Their devices are no VFs, so no later pool could get them. */
const otherTypes: ReadonlySet<unknown> = new Set(['accelerator', 'auxNetDevice']);

function importPool(entry: unknown, { line, defaultPrefix, warn, refuse }: Job): readonly Pool[] {
  if (!isRecord(entry)) throw refuse('an entry of resourceList is not an object; write { "resourceName": …, "selectors": … }');
  const fields = entriesOf(entry);
  const name = fields.get('resourcename')?.value;
  if (typeof name !== 'string') throw refuse('resourceName: is missing; name the resource that pods ask for');
  const problem = resourceNameProblem(name);
  if (problem !== undefined) throw refuse(`resourceName: "${name}" ${problem}`);
  for (const [key, { spelled }] of fields)
    if (!knownKeys.has(key)) warn(`${name}: unknown key "${spelled}" is ignored; remove it`);
  const deviceType = fields.get('devicetype')?.value || 'netDevice';
  if (otherTypes.has(deviceType)) {
    warn(`${name}: left out, because deviceType "${String(deviceType)}" is not offered here, only netDevice (VFs)`);
    return [];
  }
  if (deviceType !== 'netDevice')
    throw refuse(`deviceType: ${JSON.stringify(deviceType)} is none of that plugin's; write netDevice, or leave the key out`);
  if (fields.has('additionalinfo'))
    warn(`${name}: additionalInfo is ignored; containers get only what PCIDEVICE_…_INFO says of the VF`);
  const imported = importSelectors(fields.get('selectors')?.value, (words) => warn(`${name}: ${words}`));
  const selectors = imported.flatMap((one) => ('offered' in one ? [one.offered] : []));
  const reserved = imported.flatMap((one) => ('reserved' in one ? [one.reserved] : []));
  if (selectors.length === 0) warn(`${name}: left out, because no selector of it can be taken over`);
  const given = fields.get('resourceprefix')?.value;
  const prefix = typeof given === 'string' && given !== '' ? given : undefined;
  const wrong = prefix === undefined ? undefined : domainProblem(prefix);
  if (wrong !== undefined) throw refuse(`resourcePrefix: "${prefix}" ${wrong}`);
  if (prefix === undefined && selectors.length > 0)
    warn(`${name}: has no resourcePrefix, so it is ${defaultPrefix}/${name}; --resource-prefix sets another one`);
  const pool: Pool = {
    name,
    line,
    resources: [{ name: `${prefix ?? defaultPrefix}/${name}`, vnicType: sriovType }],
    driver: driverOf(selectors, (words) => warn(`${name}: ${words}`)),
    selectors,
    numaPolicy: fields.get('excludetopology')?.value === true ? 'none' : 'preferred',
    allocation: 'pack',
    cdi: false,
    vhost: { mode: 0o770, uid: 0, gid: 0 },
  };
  // A pool without resources only keeps its VFs from the pools behind it.
  const keeper: Pool = { ...pool, name: `${name} (left out)`, resources: [], selectors: reserved };
  return [...(selectors.length > 0 ? [pool] : []), ...(reserved.length > 0 ? [keeper] : [])];
}

function importSelectors(value: unknown, warn: Warn): readonly NonNullable<Imported>[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.flatMap((one) => {
    if (!isRecord(one)) {
      warn('a selector is missing or not an object and is left out (that plugin crashes on it)');
      return [];
    }
    return importSelector(one, warn) ?? [];
  });
}

/** In that plugin the VF's driver decides at Allocate. Here the pool decides once. */
function driverOf(selectors: Pool['selectors'], warn: Warn): Pool['driver'] {
  if (selectors.length === 0) return 'vfio-pci';
  const drivers = selectors.map(({ drivers: names }) => new Set(names?.map((name) => isVfioDriver(name))));
  if (drivers.every((kinds) => kinds.size === 1 && kinds.has(true))) return 'vfio-pci';
  if (drivers.every((kinds) => kinds.size === 1 && kinds.has(false))) return 'kernel';
  warn(
    'its selectors do not say whether VFs are passed by vfio-pci or as netdevs, so vfio-pci is taken; add "drivers" to each selector',
  );
  return 'vfio-pci';
}
