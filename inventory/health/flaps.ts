// Delays the good news about units that fall (become unfit, or vanish) again and again. Kubelet hears of each fall at once. But it writes its
// checkpoint for every message. So a unit that falls often stays unhealthy until it has come to rest. Pure.
import type { Resource, Unit } from '../offer/resource.ts';
import type { Finding, HealthState, Judged } from './health.ts';

/** A unit is damped after this number of falls within that number of milliseconds, until it has rested for so many milliseconds. */
const [falls, within, rest] = [3, 60_000, 30_000];

/** The units that fell a short time ago, by resource name and id. */
export type Flaps = ReadonlyMap<string, Course>;

interface Course {
  /** The times of its falls. */
  readonly fell: readonly number[];
  /** The time of its last change between fit and unfit. */
  readonly since: number;
  /** True while kubelet is told that it is unhealthy, whatever its state. */
  readonly damped: boolean;
  /** The unit when it was last on the machine. */
  readonly unit: Unit;
}

export interface Before {
  readonly flaps: Flaps;
  /** The units as they were judged last time. */
  readonly units: HealthState['units'];
  /** Whether a pod has the unit with that id, or had it last time. Kubelet is not told of the flaps of such a unit anyway. */
  readonly isHeld: (id: string) => boolean;
}

type Told = Omit<Judged, 'state'>;

export function damp(before: Before, judged: Told, now: number): Told & { readonly flaps: Flaps } {
  const flaps = new Map(judged.resources.flatMap((resource) => coursesOf(resource, before, now)));
  const damped = [...flaps].filter(([, course]) => course.damped);
  if (damped.length === 0) return { ...judged, flaps };
  const keys = new Set(damped.map(([key]) => key));
  const resources = judged.resources.map((resource) => withDamped(resource, flaps));
  const others = judged.findings.filter(({ resource, address }) => !keys.has(keyOf(resource, address)));
  const again = Math.min(judged.again ?? Number.POSITIVE_INFINITY, ...damped.map(([, { since }]) => since + rest));
  return { resources, findings: [...others, ...resources.flatMap((resource) => findingsOf(resource, keys))], again, flaps };
}

function coursesOf({ name, units }: Resource, before: Before, now: number): readonly (readonly [string, Course])[] {
  const present = new Map(units.map((unit) => [unit.id, unit]));
  const past = before.units.get(name) ?? new Map<string, Unit>();
  const fallen = [...before.flaps].filter(([key]) => key.startsWith(`${name} `)).map(([, { unit }]) => unit.id);
  return [...new Set([...past.keys(), ...fallen])].flatMap((id) => {
    const key = keyOf(name, id);
    const course = before.isHeld(id) ? undefined : nextCourse(before.flaps.get(key), past.get(id), present.get(id), now);
    return course === undefined ? [] : [[key, course] as const];
  });
}

function nextCourse(
  course: Course | undefined,
  past: Unit | undefined,
  present: Unit | undefined,
  now: number,
): Course | undefined {
  const [was, is] = [isFit(past), isFit(present)];
  const unit = present ?? past ?? course?.unit;
  const recent = course?.fell.filter((time) => now - time < within) ?? [];
  const fell = was && !is ? [...recent, now] : recent;
  const since = course === undefined || was !== is ? now : course.since;
  const often = was && !is && fell.length >= falls;
  const damped = (often || course?.damped === true) && now - since < rest;
  return unit === undefined || (fell.length === 0 && !damped) ? undefined : { fell, since, damped, unit };
}

function isFit(unit: Unit | undefined): boolean {
  return unit?.problems.length === 0;
}

/** Adds the damped units that are gone now. Otherwise the list would change its length, and kubelet would be told of that, too. */
function withDamped(resource: Resource, flaps: Flaps): Resource {
  const own = [...flaps].filter(([key, { damped }]) => damped && key.startsWith(`${resource.name} `));
  if (own.length === 0) return resource;
  const present = new Set(resource.units.map(({ id }) => id));
  const units = new Map(resource.units.map((unit) => [unit.id, unit]));
  for (const [, { unit }] of own)
    units.set(unit.id, { ...unit, problems: [`flapping: ${wordsFor(unit, present.has(unit.id))}`] });
  const all = [...units.values()];
  return { ...resource, units: all.length === present.size ? all : all.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

function wordsFor({ problems }: Unit, isThere: boolean): string {
  const state = isThere ? (problems[0] ?? 'it is fit') : 'it is gone';
  return `it became unfit ${falls} times within a minute, and is offered again after ${rest / 1000} s of rest; just now: ${state}`;
}

function findingsOf({ name, units }: Resource, damped: ReadonlySet<string>): readonly Finding[] {
  return units
    .filter(({ id }) => damped.has(keyOf(name, id)))
    .map(({ id, problems }) => ({
      ...{ resource: name, address: id, reason: 'flapping', told: true },
      words: problems.join().replace('flapping: ', ''),
    }));
}

function keyOf(resource: string, id: string): string {
  return `${resource} ${id}`;
}
