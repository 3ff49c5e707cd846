// Everything from which kubelet's questions are answered, at one moment: what is offered and what is held. Pure look-ups, no I/O.
import type { Holdings } from '../../inventory/holdings.ts';
import type { Resource } from '../../inventory/offer/resource.ts';

export interface Snapshot {
  readonly resources: readonly Resource[];
  readonly holdings: Holdings;
  /** Why it is not known which VFs are held (right after a start, while kubelet is silent). Absent when it is known. */
  readonly unknownHoldings?: string;
}

/** One device as ListAndWatch reports it. */
export interface Device {
  readonly id: string;
  readonly healthy: boolean;
  readonly numaNodes: readonly number[];
}

export function findResource(snapshot: Snapshot, name: string): Resource | undefined {
  return snapshot.resources.find((resource) => resource.name === name);
}

/** The complete list of a resource. Empty when the resource is gone. */
export function deviceList(snapshot: Snapshot, name: string): readonly Device[] {
  const units = findResource(snapshot, name)?.units ?? [];
  const doubtful = snapshot.unknownHoldings === undefined ? new Set() : sharedIds(snapshot, name);
  return units.map((unit) => ({
    id: unit.id,
    healthy: unit.problems.length === 0 && !doubtful.has(unit.id) && holderElsewhere(snapshot, name, unit.id) === undefined,
    numaNodes: unit.numaNodes,
  }));
}

/** The other resource name under which a VF is held now, or was until a moment ago. */
export function holderElsewhere(snapshot: Snapshot, name: string, id: string): string | undefined {
  const holder = snapshot.holdings.get(id)?.resource;
  return holder === name ? undefined : holder;
}

/** The ids of this resource's units that another resource offers, too. */
export function sharedIds(snapshot: Snapshot, name: string): ReadonlySet<string> {
  const others = snapshot.resources.filter((resource) => resource.name !== name);
  return new Set(others.flatMap((resource) => resource.units.map(({ id }) => id)));
}
