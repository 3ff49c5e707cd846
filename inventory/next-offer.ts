// The step from what was offered last to what is offered next: (last offer, what is known now) -> next offer. Pure.
import type { Nics } from '../host/nic/nics.ts';
import type { Sockets } from './config/numa.ts';
import type { Config } from './config/pool.ts';
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
}

export const nothingOffered: Offered = { resources: [], findings: [], conflicts: [], health: healthAtStart };

export function nextOffer(last: Offered, { config, nics, sockets, held, facts, now }: Known): Offered {
  const { resources: offered, conflicts } = makeOffer(config, { vfs: nics.vfs, sockets, held });
  const { state: health, ...judged } = judge(last.health, { offered, pools: config.pools, nics, held, facts, now });
  return { ...judged, conflicts, health };
}
