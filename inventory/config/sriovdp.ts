// Reads the SR-IOV network device plugin's config.json as it is: every pool becomes a pool of vnic type `direct`. What that plugin drops
// silently, and what we can't do, becomes a warning with its line. The keys are those of version 3.11.

import { ConfigError } from '../../host/base/config-error.ts';
import { isRecord } from '../../host/base/json.ts';
import type { Positions } from '../../host/base/positions.ts';
import { isVfioDriver } from '../../host/nic/vfio-driver.ts';
import { sriovType } from '../../vnic/index.ts';
import type { Config, Pool } from './pool.ts';
import { resourceNameProblem } from './resource-name.ts';
import { entriesOf, type Fields } from './sriovdp-fields.ts';
import { importSelector } from './sriovdp-selectors.ts';

/** The default of that plugin's command line. */
const defaultPrefix = 'intel.com';

export function isSriovdp(value: unknown): value is Fields {
  return isRecord(value) && entriesOf(value).has('resourcelist');
}

/** @throws ConfigError where that plugin would refuse the file, too. */
export function importSriovdp(file: string, value: Fields, positions: Positions): Config {
  const list = entriesOf(value).get('resourcelist')?.value;
  if (!Array.isArray(list))
    throw new ConfigError([`${positions.at(1)}: resourceList: is not a list; write "resourceList": [ … ]`]);
  const notes: string[] = [];
  const pools = list.flatMap((entry: unknown, at) => {
    const line = positions.line(['resourceList', at]);
    const warn = (words: string) => notes.push(`${positions.at(line)}: ${words}`);
    return importPool(entry, line, warn, (words) => new ConfigError([`${positions.at(line)}: ${words}`])) ?? [];
  });
  return { file, pools, overlap: 'first', warnings: notes };
}

type Warn = (words: string) => void;

const knownKeys: ReadonlySet<string> = new Set(
  ['resourceName', 'resourcePrefix', 'deviceType', 'excludeTopology', 'selectors', 'additionalInfo'].map((key) =>
    key.toLowerCase(),
  ),
);

function importPool(entry: unknown, line: number, warn: Warn, refuse: (words: string) => Error): Pool | undefined {
  if (!isRecord(entry)) throw refuse('an entry of resourceList is not an object; write { "resourceName": …, "selectors": … }');
  const fields = entriesOf(entry);
  const name = fields.get('resourcename')?.value;
  if (typeof name !== 'string') throw refuse('resourceName: is missing; name the resource that pods ask for');
  const problem = resourceNameProblem(name);
  if (problem !== undefined) throw refuse(`resourceName: "${name}" ${problem}`);
  for (const [key, { spelled }] of fields)
    if (!knownKeys.has(key)) warn(`${name}: unknown key "${spelled}" is ignored; remove it`);
  const deviceType = fields.get('devicetype')?.value ?? 'netDevice';
  if (deviceType !== 'netDevice') {
    warn(`${name}: left out, because deviceType "${String(deviceType)}" is not offered here, only netDevice (VFs)`);
    return undefined;
  }
  if (fields.has('additionalinfo'))
    warn(`${name}: additionalInfo is ignored; containers get only what PCIDEVICE_…_INFO says of the VF`);
  const selectors = importSelectors(fields.get('selectors')?.value, (words) => warn(`${name}: ${words}`));
  if (selectors.length === 0) {
    warn(`${name}: left out, because no selector of it can be taken over`);
    return undefined;
  }
  const prefix = fields.get('resourceprefix')?.value;
  if (typeof prefix !== 'string' || prefix === '')
    warn(`${name}: has no resourcePrefix, so it is ${defaultPrefix}/${name}, that plugin's default`);
  return {
    name,
    line,
    resources: [{ name: `${typeof prefix === 'string' && prefix !== '' ? prefix : defaultPrefix}/${name}`, vnicType: sriovType }],
    driver: driverOf(selectors, (words) => warn(`${name}: ${words}`)),
    selectors,
    numaPolicy: fields.get('excludetopology')?.value === true ? 'none' : 'preferred',
    allocation: 'pack',
    cdi: false,
    vhost: { mode: 0o770, uid: 0, gid: 0 },
  };
}

function importSelectors(value: unknown, warn: Warn): Pool['selectors'] {
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
  const drivers = selectors.map(({ drivers: names }) => new Set(names?.map((name) => isVfioDriver(name))));
  if (drivers.every((kinds) => kinds.size === 1 && kinds.has(true))) return 'vfio-pci';
  if (drivers.every((kinds) => kinds.size === 1 && kinds.has(false))) return 'kernel';
  warn(
    'its selectors do not say whether VFs are passed by vfio-pci or as netdevs, so vfio-pci is taken; add "drivers" to each selector',
  );
  return 'vfio-pci';
}
