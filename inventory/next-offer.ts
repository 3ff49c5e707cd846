// The step from the last offer to the next one: (last offer, what is known now) -> next offer. Pure.
import type { Nics } from '../host/nic/nics.ts';
import type { Sockets } from './config/numa.ts';
import type { Config } from './config/pool.ts';
import { damp, type Flaps } from './health/flaps.ts';
import { type Finding, type HealthState, healthAtStart, judge } from './health/health.ts';
import type { Facts } from './health/reasons.ts';
import { makeOffer } from './offer/offer.ts';
import type { Resource } from './offer/resource.ts';

/** The result of the last look at everything. */
export interface Known {
  readonly config: Config;
  readonly nics: Nics;
  readonly sockets: Sockets;
  /** By id: the resource as which a pod has it. */
  readonly held: ReadonlyMap<string, string>;
  readonly facts: Facts;
  /** Milliseconds of a clock that never jumps. */
  readonly now: number;
}

export interface Offered {
  readonly resources: readonly Resource[];
  /** Everything that is wrong, including what kubelet is not told because a pod has the unit. */
  readonly findings: readonly Finding[];
  /** VFs that fit more than one pool, in words. */
  readonly conflicts: readonly string[];
  /** When to take the next step even if nothing changes, on the same clock. Absent when there is no need. */
  readonly again?: number;
  readonly health: HealthState;
  readonly flaps: Flaps;
  /** What the offer was made from. Absent before the first one. */
  readonly known?: Pick<Known, 'config' | 'held'>;
}

export const nothingOffered: Offered = {
  resources: [],
  findings: [],
  conflicts: [],
  health: healthAtStart,
  flaps: new Map(),
};

export function nextOffer(last: Offered, { config, nics, sockets, held, facts, now }: Known): Offered {
  const { resources: offered, conflicts } = makeOffer(config, { vfs: nics.vfs, sockets, held });
  const { state, ...judged } = judge(last.health, { offered, pools: config.pools, nics, held, facts, now });
  // A unit that a new configuration leaves out has not fallen.
  const { flaps, health } = last.known?.config === config ? last : nothingOffered;
  const isHeld = (id: string) => held.has(id) || (last.known?.held.has(id) ?? false);
  const damped = damp({ flaps, units: health.units, isHeld }, judged, now);
  return { ...damped, conflicts, health: state, known: { config, held } };
}
