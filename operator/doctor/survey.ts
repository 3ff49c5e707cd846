// What several examinations look at: the NICs, who has which VF, and what the pools in force offer.
import { messageOf } from '../../host/base/errors.ts';
import type { Host } from '../../host/host.ts';
import { readSockets } from '../../host/kernel/numa.ts';
import { type AskKernel, type Nics, scanNics } from '../../host/nic/nics.ts';
import { readHolders } from '../../inventory/holders.ts';
import { type PoolsInForce, type PoolsSource, poolsInForce } from '../../inventory/in-force.ts';
import { makeOffer } from '../../inventory/offer/offer.ts';
import type { Resource } from '../../inventory/offer/resource.ts';

export interface Survey {
  readonly nics: Nics;
  /** Why the NICs could not be looked at. */
  readonly problem?: string;
  readonly pools: PoolsInForce;
  /** What the pools in force offer. */
  readonly resources: readonly Resource[];
}

export interface Surveyed {
  readonly host: Pick<Host, 'root'>;
  readonly ask: AskKernel;
  readonly kubeletDir: string;
  readonly source: PoolsSource;
}

export async function survey({ host, ask, kubeletDir, source }: Surveyed): Promise<Survey> {
  const { holders } = await readHolders(host, kubeletDir);
  const held = new Map([...holders].map(([id, { resource }]) => [id, resource]));
  const found = await scan(host, ask, new Set(held.keys()));
  const there = { vfs: found.nics.vfs, sockets: readSockets(host, () => {}), held };
  const pools = poolsInForce(host, source, there);
  return { ...found, pools, resources: pools.config === undefined ? [] : makeOffer(pools.config, there).resources };
}

async function scan(
  host: Pick<Host, 'root'>,
  ask: AskKernel,
  allocated: ReadonlySet<string>,
): Promise<Pick<Survey, 'nics' | 'problem'>> {
  try {
    return { nics: await scanNics(host, { ask, allocated }) };
  } catch (error) {
    return { nics: { pfs: [], vfs: [], unread: [] }, problem: messageOf(error) };
  }
}
