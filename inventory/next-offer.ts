// The step from what was offered last to what is offered next: (last offer, what is known now) -> next offer. Pure.
import type { Nics } from '../host/nic/nics.ts';
import type { Sockets } from './config/numa.ts';
import type { Config } from './config/pool.ts';
import { damp, type Flaps } from './health/flaps.ts';
import { type Finding, type HealthState, healthAtStart, judge } from './health/health.ts';
import type { Facts } from './health/reasons.ts';
import { makeOffer } from './offer/offer.ts';
import type { Resource } from './offer/resource.ts';

/** The last look at everything. */
export interface Known {
  readonly config: Config;
  readonly nics: Nics;
  readonly sockets: Sockets;
  /** By id: the resource that a pod has it as. */
  readonly held: ReadonlyMap<string, string>;
  readonly facts: Facts;
  /** Milliseconds of a clock that never jumps. */
  readonly now: number;
}

export interface Offered {
  readonly resources: readonly Resource[];
  /** Everything that is wrong, also what kubelet is not told because a pod has the unit. */
  readonly findings: readonly Finding[];
  /** VFs that fit more than one pool, in words. */
  readonly conflicts: readonly string[];
  /** When to take the next step although nothing may have changed, on the same clock; absent: no need. */
  readonly again?: number;
  readonly health: HealthState;
  readonly flaps: Flaps;
  /** What the offer was made from; absent: there was none yet. */
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
  // What another configuration leaves out has not fallen.
  const { flaps, health } = last.known?.config === config ? last : nothingOffered;
  const isHeld = (id: string) => held.has(id) || (last.known?.held.has(id) ?? false);
  const damped = damp({ flaps, units: health.units, isHeld }, judged, now);
  return { ...damped, conflicts, health: state, known: { config, held } };
}
