// Decides which units are fit to be given away, and judges an allocated unit with patience. A pure state machine: the earlier state, the
// present and the clock decide what kubelet is told. Kubelet refuses to restart a container whose device is unhealthy, so it must hear of no flap.
import type { Nics } from '../../host/nic/nics.ts';
import type { Vf } from '../../host/nic/vf.ts';
import type { Pool } from '../config/pool.ts';
import type { Resource, Unit } from '../offer/resource.ts';
import { type Facts, findings, type Reason } from './reasons.ts';

/** Milliseconds for which an allocated VF (or its PF) must be missing without interruption before kubelet is told. */
export const patience = 60_000;

export interface Judged {
  /** What kubelet is told. */
  readonly resources: readonly Resource[];
  /** Everything that was found, including what kubelet is not told because the VF is allocated. Sorted by resource, then address. */
  readonly findings: readonly Finding[];
  /** When to judge again even if nothing changes, in the clock's milliseconds. Absent when there is no need. */
  readonly again?: number;
  readonly state: HealthState;
}

export interface Finding {
  readonly resource: string;
  /** The unit's id. */
  readonly address: string;
  readonly reason: Reason;
  readonly words: string;
  /** False when kubelet is not told, because a pod has the VF. */
  readonly told: boolean;
}

export interface HealthState {
  /** The units as kubelet was last told, by resource name and id. */
  readonly units: ReadonlyMap<string, ReadonlyMap<string, Unit>>;
  /** The time since which an allocated VF is missing, by address. */
  readonly goneSince: ReadonlyMap<string, number>;
}

export const healthAtStart: HealthState = { units: new Map(), goneSince: new Map() };

export interface Present {
  /** The result of makeOffer: what the machine has now, without problems. */
  readonly offered: readonly Resource[];
  readonly pools: readonly Pool[];
  readonly nics: Nics;
  /** By id: the resource as which kubelet allocated the VF or slot. */
  readonly held: ReadonlyMap<string, string>;
  readonly facts: Facts;
  /** Milliseconds of a clock that never jumps. */
  readonly now: number;
}

export function judge(state: HealthState, present: Present): Judged {
  const gone = findGone(state, present);
  const judged = present.offered.map((resource) => judgeResource(resource, gone.get(resource.name) ?? [], present));
  const resources = judged.map(({ resource }) => resource);
  const waiting = [...gone.values()].flat().map(({ since }) => since + patience);
  const again = waiting.filter((time) => time > present.now).sort((a, b) => a - b)[0];
  return {
    resources,
    findings: judged.flatMap(({ found }) => found),
    ...(again !== undefined && { again }),
    state: {
      units: new Map(resources.map(({ name, units }) => [name, new Map(units.map((unit) => [unit.id, unit]))])),
      goneSince: new Map([...gone.values()].flat().map(({ unit, since }) => [unit.id, since])),
    },
  };
}

interface Gone {
  readonly unit: Unit & { readonly vf: Vf };
  readonly since: number;
}

/** VFs that a pod has and that the machine no longer has. Other VFs that are gone are simply no longer listed. */
function findGone(state: HealthState, { nics, held, now }: Present): ReadonlyMap<string, readonly Gone[]> {
  const there: ReadonlySet<string> = new Set(nics.vfs.map((vf) => vf.address));
  return new Map(
    [...state.units].map(([resource, units]) => [
      resource,
      [...units.values()]
        .flatMap((unit) => (unit.vf === undefined ? [] : [{ ...unit, vf: unit.vf }]))
        .filter(({ id }) => !there.has(id) && held.get(id) === resource)
        .map((unit) => ({ unit, since: state.goneSince.get(unit.id) ?? now })),
    ]),
  );
}

function judgeResource(
  resource: Resource,
  gone: readonly Gone[],
  present: Present,
): { resource: Resource; found: readonly Finding[] } {
  const pool = present.pools.find(({ name }) => name === resource.pool);
  const units = resource.units
    .map((unit) => judgeUnit(resource, pool, unit, present))
    .concat(gone.map((one) => judgeGone(resource, one, present)));
  if (gone.length > 0) units.sort((a, b) => (a.unit.id < b.unit.id ? -1 : 1));
  return { resource: { ...resource, units: units.map(({ unit }) => unit) }, found: units.flatMap(({ found }) => found) };
}

interface JudgedUnit {
  readonly unit: Unit;
  readonly found: readonly Finding[];
}

/** A unit that is on the machine can recover. So kubelet is not told of its problems while a pod has it. */
function judgeUnit(resource: Resource, pool: Pool | undefined, unit: Unit, { facts, held }: Present): JudgedUnit {
  const { id: address } = unit;
  const told = !held.has(address);
  const found = findings({ vf: unit.vf, resource, pool, facts }).map((one) => ({
    ...one,
    resource: resource.name,
    address,
    told,
  }));
  return { unit: { ...unit, ...problemsOf(found) }, found };
}

function judgeGone(resource: Resource, { unit, since }: Gone, { nics, now }: Present): JudgedUnit {
  const { address, pf } = unit.vf;
  const told = now - since >= patience;
  const pfThere = nics.pfs.some((one) => one.address === pf.address);
  const reasons = [
    ...(pfThere ? [] : [{ reason: 'pf-gone' as const, words: `PF ${pf.address} is not on the machine any more` }]),
    { reason: 'vf-gone' as const, words: `VF ${address} is not on the machine any more` },
  ];
  const found = reasons.map((one) => ({ ...one, resource: resource.name, address, told }));
  return { unit: { ...unit, ...problemsOf(found) }, found };
}

function problemsOf(found: readonly Finding[]): Pick<Unit, 'problems' | 'untold'> {
  const [told, untold] = [true, false].map((one) => found.filter((each) => each.told === one).map(describe));
  return { problems: told ?? [], ...(untold && untold.length > 0 && { untold }) };
}

/** The words in kubelet's refusals and in `vfs`. The code comes first, for metrics and for grep. */
function describe({ reason, words }: { readonly reason: Reason; readonly words: string }): string {
  return `${reason}: ${words}`;
}
