// Which of the available VFs kubelet should take. Pure. This is only advice; kubelet may choose others.
import type { Resource, Unit } from '../../inventory/offer/resource.ts';
import { offers } from '../../vnic/index.ts';
import { findResource, holderElsewhere, type Snapshot, sharedIds } from './snapshot.ts';

export interface Preference {
  readonly available: readonly string[];
  readonly mustInclude: readonly string[];
  /** The number of ids, including those of `mustInclude`. */
  readonly size: number;
}

/**
 * Returns `size` ids, those of `mustInclude` first. It returns fewer if not enough would pass Allocate. It prefers, in this order:
 * a VF that no other name offers (so the shared VFs stay for names that have no others);
 * with `pack` a VF of the PF that is used most, with `spread` of the PF that is used least;
 * the end of the list that the vnic type prefers, so that two pods admitted at the same time under both names don't get the same VF.
 */
export function preferred(snapshot: Snapshot, name: string, { available, mustInclude, size }: Preference): readonly string[] {
  const chosen = mustInclude.slice(0, Math.max(size, 0));
  const resource = findResource(snapshot, name);
  if (resource === undefined) return chosen;
  const used = usedPerPf(snapshot, chosen);
  for (const rank of ranks(snapshot, resource, available, chosen)) {
    const candidates = new Set(rank);
    while (chosen.length < size && candidates.size > 0) {
      const next = best(resource, [...candidates], used);
      candidates.delete(next);
      chosen.push(next.id);
      used.set(pfOf(next), (used.get(pfOf(next)) ?? 0) + 1);
    }
  }
  return chosen;
}

/** The candidates by class: first ours alone, then shared ones. It never advises a VF that Allocate would refuse or that only kubelet knows. */
function ranks(
  snapshot: Snapshot,
  resource: Resource,
  available: readonly string[],
  chosen: readonly string[],
): readonly (readonly Unit[])[] {
  const wanted = new Set(available).difference(new Set(chosen));
  const shared = sharedIds(snapshot, resource.name);
  const usable = resource.units.filter(
    (unit) =>
      wanted.has(unit.id) &&
      unit.problems.length === 0 &&
      unit.untold === undefined &&
      holderElsewhere(snapshot, resource.name, unit.id) === undefined,
  );
  const { true: together = [], false: alone = [] } = Object.groupBy(usable, (unit) => `${shared.has(unit.id)}`);
  return [alone, together];
}

function best(resource: Resource, candidates: readonly Unit[], used: ReadonlyMap<string, number>): Unit {
  const sign = resource.allocation === 'pack' ? -1 : 1;
  const direction = offers[resource.vnicType].prefers === 'low addresses' ? 1 : -1;
  return candidates.reduce((a, b) => {
    const load = sign * ((used.get(pfOf(a)) ?? 0) - (used.get(pfOf(b)) ?? 0));
    const order = load !== 0 ? load : direction * compare(a.id, b.id);
    return order <= 0 ? a : b;
  });
}

/** The number of VFs of each PF that are held under any name, or chosen already. */
function usedPerPf(snapshot: Snapshot, chosen: readonly string[]): Map<string, number> {
  const units = new Map(snapshot.resources.flatMap((resource) => resource.units.map((unit) => [unit.id, unit] as const)));
  const used = new Map<string, number>();
  for (const id of new Set([...snapshot.holdings.keys(), ...chosen])) {
    const unit = units.get(id);
    if (unit !== undefined) used.set(pfOf(unit), (used.get(pfOf(unit)) ?? 0) + 1);
  }
  return used;
}

/** All slots count as one PF's. */
function pfOf({ vf }: Unit): string {
  return vf?.pf.address ?? '';
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
