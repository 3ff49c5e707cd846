// Which units are fit to be given away, and how patiently an allocated one is judged. A pure state machine: what was, what is, and the
// clock make what is told. Kubelet refuses to restart a container whose device is unhealthy, so a flap must never reach it.
import type { Nics } from '../../host/nic/nics.ts';
import type { Vf } from '../../host/nic/vf.ts';
import type { Pool } from '../config/pool.ts';
import type { Resource, Unit } from '../offer/resource.ts';
import { type Facts, findings, type Reason } from './reasons.ts';

/** Milliseconds for which an allocated vf (or its pf) must be gone without interruption before kubelet is told. */
export const patience = 60_000;

export interface Judged {
  /** What is told to kubelet. */
  readonly resources: readonly Resource[];
  /** Everything found, also what is not told because the vf is allocated. By resource, then address. */
  readonly findings: readonly Finding[];
  /** When to judge again although nothing may have changed, in the clock's milliseconds; absent: no need. */
  readonly again?: number;
  readonly state: HealthState;
}

export interface Finding {
  readonly resource: string;
  /** Id of the unit. */
  readonly address: string;
  readonly reason: Reason;
  readonly words: string;
  /** False: kept from kubelet, because a pod has the vf. */
  readonly told: boolean;
}

export interface HealthState {
  /** The units as they were told last, by resource name and id. */
  readonly units: ReadonlyMap<string, ReadonlyMap<string, Unit>>;
  /** Since when an allocated vf is gone, by address. */
  readonly goneSince: ReadonlyMap<string, number>;
}

export const healthAtStart: HealthState = { units: new Map(), goneSince: new Map() };

export interface Present {
  /** Of makeOffer: what the machine has now, without problems. */
  readonly offered: readonly Resource[];
  readonly pools: readonly Pool[];
  readonly nics: Nics;
  /** By id: the resource that kubelet allocated the vf or slot as. */
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

/** Vfs that a pod has and the machine has no longer. Others that are gone are simply not listed any more. */
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

/** What is there can recover, so nothing of it is held against a vf that a pod has. */
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

/** As kubelet's refusals and `vfs` show it; the code comes first, for metrics and for greps. */
function describe({ reason, words }: { readonly reason: Reason; readonly words: string }): string {
  return `${reason}: ${words}`;
}
