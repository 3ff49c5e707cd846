// What can be wrong with a unit. Each reason is a row: to which resources it applies, and its words. Pure.
import type { Vf } from '../../host/nic/vf.ts';
import { vfDrivers } from '../../vnic/drivers.ts';
import { offers } from '../../vnic/index.ts';
import type { Pool } from '../config/pool.ts';
import type { Resource } from '../offer/resource.ts';

/** Worst first. The first three come from comparing with earlier looks (health.ts, flaps.ts), not from this file. */
export const reasons = [
  'pf-gone',
  'vf-gone',
  'flapping',
  'unreadable',
  'quarantined',
  'iommu-group-shared',
  'iommu-group-missing',
  'driver-wrong',
  'representor-missing',
  'bridge-missing',
  'forwarder-down',
] as const;
export type Reason = (typeof reasons)[number];

/** What was looked up besides the VFs themselves. */
export interface Facts {
  /** By PCI address: why the CNI side put the VF aside. */
  readonly quarantined: ReadonlyMap<string, string>;
  /** The pools' bridges that exist. */
  readonly bridges: ReadonlySet<string>;
  /** The pools' forwarder sockets that do not answer, and what connecting said. */
  readonly forwardersDown: ReadonlyMap<string, string>;
  /** What the CNI server says about the node's forwarder. Absent when it reports no trouble. */
  readonly forwarderTrouble?: string;
  /** What could not be looked up, in words. */
  readonly unread: readonly string[];
}

interface Case {
  /** Absent for a slot. */
  readonly vf: Vf | undefined;
  readonly resource: Resource;
  /** Absent when the pool was just removed from the configuration. */
  readonly pool: Pool | undefined;
  readonly facts: Facts;
}

export function findings(unit: Case): readonly { readonly reason: Reason; readonly words: string }[] {
  const { vf } = unit;
  const found = [
    ...(vf === undefined ? [] : vfRows.map(([reason, find]) => [reason, find({ ...unit, vf })] as const)),
    ...rows.map(([reason, find]) => [reason, find(unit)] as const),
  ];
  return found.flatMap(([reason, words]) => (words === undefined ? [] : [{ reason, words }]));
}

type Rows<T> = readonly (readonly [Reason, (unit: T) => string | undefined])[];

const vfRows: Rows<Case & { readonly vf: Vf }> = [
  ['unreadable', ({ vf }) => vf.unread],
  ['quarantined', ({ vf, facts }) => facts.quarantined.get(vf.address)],
  [
    'iommu-group-shared',
    ({ vf, resource }) => {
      const others = vf.iommuGroup?.members.filter((address) => address !== vf.address) ?? [];
      if (usesNetdev(resource) || others.length === 0) return undefined;
      return `IOMMU group ${vf.iommuGroup?.id} also holds ${others.join(', ')}, which could read the pod's memory; is ACS on?`;
    },
  ],
  [
    'iommu-group-missing',
    ({ vf, resource }) =>
      usesNetdev(resource) || vf.iommuGroup !== undefined || vf.driver?.includes('uio')
        ? undefined
        : 'it is in no IOMMU group; switch the IOMMU on, or bind it to vfio-pci in no-IOMMU mode',
  ],
  ['driver-wrong', ({ vf, resource }) => (canTake(resource, vf) ? undefined : wrongDriver(vf, resource))],
  [
    'representor-missing',
    ({ vf }) =>
      vf.pf.eswitchMode === 'switchdev' && vf.representor === undefined
        ? `PF ${vf.pf.address} is in switchdev mode, but no netdev here stands for its VF ${vf.index}`
        : undefined,
  ],
];

const rows: Rows<Case> = [
  [
    'bridge-missing',
    ({ pool, facts }) =>
      pool?.bridge === undefined || facts.bridges.has(pool.bridge)
        ? undefined
        : `there is no bridge ${pool.bridge} (it has no netdev of that name)`,
  ],
  [
    'forwarder-down',
    ({ pool, resource, facts }) =>
      offers[resource.vnicType].needsForwarder
        ? (facts.forwardersDown.get(pool?.forwarder ?? '') ?? facts.forwarderTrouble)
        : undefined,
  ],
];

function usesNetdev({ driver }: Resource): boolean {
  return driver === 'kernel';
}

function canTake({ vnicType, driver = vfDrivers[0] }: Resource, vf: Vf): boolean {
  return offers[vnicType].canTake(vf, driver);
}

function wrongDriver({ driver }: Vf, resource: Resource): string {
  const bound = driver === undefined ? 'it is bound to no driver' : `it is bound to ${driver}`;
  return usesNetdev(resource)
    ? `${bound}, but this pool gives netdevs away`
    : `${bound}, which neither vfio nor ADD can take it from`;
}
