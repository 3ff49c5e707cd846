// What a pool's selectors mean: a table that says for each key why a VF does not fit. Matching and `explain` use the same table. Pure.
import type { EswitchMode, Vf } from '../../host/nic/vf.ts';

/** A PF, by name or address, and the numbers of its VFs. Without numbers: all of its VFs. */
export interface PfRange {
  readonly pf: string;
  readonly numbers?: ReadonlySet<number>;
  /** The name fits in upper and lower case alike, as in the SR-IOV network device plugin. */
  readonly anyCase?: true;
}

export const capabilities = ['hw-tc-offload', 'representor', 'iommu'] as const;
export type Capability = (typeof capabilities)[number];

/** All present keys must fit (AND). Of a key's values, one must fit (of capabilities, every one). A pool's selectors are alternatives (OR). */
export interface Selector {
  readonly vendors?: readonly string[];
  readonly devices?: readonly string[];
  readonly drivers?: readonly string[];
  readonly pciAddresses?: readonly string[];
  readonly pfNames?: readonly PfRange[];
  readonly rootDevices?: readonly PfRange[];
  readonly linkTypes?: readonly string[];
  readonly eswitchMode?: EswitchMode;
  readonly capabilities?: readonly Capability[];
}

export const selectorKeys = [
  'vendors',
  'devices',
  'drivers',
  'pciAddresses',
  'pfNames',
  'rootDevices',
  'linkTypes',
  'eswitchMode',
  'capabilities',
] as const satisfies readonly (keyof Selector)[];

/** Why the VF does not fit, for each key. Empty when it fits. */
export function misfits(selector: Selector, vf: Vf): readonly string[] {
  return selectorKeys.flatMap((key) => misfit(key, selector, vf) ?? []);
}

export function fits(selector: Selector, vf: Vf): boolean {
  return selectorKeys.every((key) => misfit(key, selector, vf) === undefined);
}

function misfit<K extends keyof Selector>(key: K, selector: Selector, vf: Vf): string | undefined {
  const wanted = selector[key];
  return wanted === undefined ? undefined : table[key](vf, wanted as NonNullable<Selector[K]>);
}

type Table = { readonly [K in keyof Required<Selector>]: (vf: Vf, wanted: NonNullable<Selector[K]>) => string | undefined };

const table: Table = {
  vendors: (vf, wanted) => oneOf('vendors', `vendor ${vf.vendor}`, vf.vendor, wanted),
  devices: (vf, wanted) => oneOf('devices', `device ${vf.device}`, vf.device, wanted),
  drivers: (vf, wanted) => oneOf('drivers', vf.driver === undefined ? 'no driver' : `driver ${vf.driver}`, vf.driver, wanted),
  pciAddresses: (vf, wanted) => oneOf('pciAddresses', `address ${vf.address}`, vf.address, wanted),
  pfNames: (vf, wanted) => inRange('pfNames', vf, vf.pf.netdev, wanted),
  rootDevices: (vf, wanted) => inRange('rootDevices', vf, vf.pf.address, wanted),
  linkTypes: (vf, wanted) => oneOf('linkTypes', `link type ${vf.linkType ?? 'unknown'}`, vf.linkType, wanted),
  eswitchMode: (vf, wanted) =>
    vf.pf.eswitchMode === wanted
      ? undefined
      : `eswitchMode: pf ${vf.pf.address} is in ${vf.pf.eswitchMode ?? 'an unknown'} mode, not ${wanted}`,
  capabilities: (vf, wanted) => {
    const lacking = wanted.filter((capability) => !has[capability](vf));
    return lacking.length === 0 ? undefined : `capabilities: it has no ${lacking.join(', no ')}`;
  },
};

const has: { readonly [K in Capability]: (vf: Vf) => boolean } = {
  'hw-tc-offload': (vf) => vf.pf.hwTcOffload === true,
  representor: (vf) => vf.representor !== undefined,
  iommu: (vf) => vf.iommuGroup !== undefined && !vf.iommuGroup.noiommu,
};

function oneOf(key: string, what: string, value: string | undefined, wanted: readonly string[]): string | undefined {
  return value !== undefined && wanted.includes(value) ? undefined : `${key}: ${what} is not one of ${wanted.join(', ')}`;
}

function inRange(key: string, vf: Vf, pf: string | undefined, wanted: readonly PfRange[]): string | undefined {
  const ranges = wanted.filter((range) => range.pf === pf || (range.anyCase && range.pf.toLowerCase() === pf?.toLowerCase()));
  if (ranges.some(({ numbers }) => numbers === undefined || numbers.has(vf.index))) return undefined;
  if (ranges.length > 0) return `${key}: it is vf ${vf.index} of ${pf}, which the ranges leave out`;
  return `${key}: its pf ${pf ?? `${vf.pf.address} has no netdev here and`} is not one of ${wanted.map((range) => range.pf).join(', ')}`;
}

/** Whether everything that fits `inner` also fits `outer`, on any machine. So for each key of outer, inner must be at least as strict. */
export function isContained(inner: Selector, outer: Selector): boolean {
  return selectorKeys.every((key) => {
    if (outer[key] === undefined) return true;
    if (inner[key] === undefined) return false;
    if (key === 'eswitchMode') return inner.eswitchMode === outer.eswitchMode;
    if (key === 'capabilities') return (outer.capabilities ?? []).every((capability) => inner.capabilities?.includes(capability));
    if (key === 'pfNames' || key === 'rootDevices')
      return (inner[key] ?? []).every((range) => rangeContained(range, outer[key] ?? []));
    const values: readonly string[] = outer[key] ?? [];
    return (inner[key] ?? []).every((value) => values.includes(value));
  });
}

function rangeContained(inner: PfRange, outer: readonly PfRange[]): boolean {
  const same = outer.filter((range) => range.pf === inner.pf);
  if (same.some((range) => range.numbers === undefined)) return true;
  if (inner.numbers === undefined) return false;
  return [...inner.numbers].every((number) => same.some((range) => range.numbers?.has(number)));
}
