// Finds pools that would compete for the same VFs, as far as the file alone proves it: every VF that fits one selector also fits another one.
// offer/offer.ts finds what only the machine can show. Pure.

import type { Positions } from '../../host/base/positions.ts';
import type { Config, Pool } from './pool.ts';
import { isContained, type Selector } from './selectors.ts';

/** Returns one sentence per pair of pools that overlap. */
export function findOverlaps({ pools }: Config, positions: Positions): readonly string[] {
  return pools.flatMap((pool, at) =>
    pools.slice(0, at).flatMap((earlier) => {
      const shared = pool.selectors.some((selector) => earlier.selectors.some((other) => overlaps(selector, other)));
      return shared ? [describe(pool, earlier, positions)] : [];
    }),
  );
}

function overlaps(a: Selector, b: Selector): boolean {
  return isContained(a, b) || isContained(b, a);
}

function describe(pool: Pool, earlier: Pool, positions: Positions): string {
  return (
    `${positions.at(pool.line)}: pool ${pool.name} overlaps pool ${earlier.name} on line ${earlier.line}: all VFs of a selector of one ` +
    'fit a selector of the other, but a VF belongs to one pool; narrow one of them, or make them one pool with both vnic types'
  );
}
