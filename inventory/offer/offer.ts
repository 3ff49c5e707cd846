// Which VFs or slots each pool offers: (configuration, machine) -> resources and, for every VF, the reasons. Pure.
import type { Vf } from '../../host/nic/vf.ts';
import type { VfDriver } from '../../vnic/drivers.ts';
import { type OfferedType, offers } from '../../vnic/index.ts';
import { numaNodes, type Sockets } from '../config/numa.ts';
import type { Config, Pool } from '../config/pool.ts';
import { fits } from '../config/selectors.ts';
import type { Resource, Unit } from './resource.ts';

/** What the pools choose from. */
export interface Machine {
  readonly vfs: readonly Vf[];
  readonly sockets: Sockets;
  /** By id: the resource as which kubelet allocated it. While a pod has a VF, it stays in that resource, whatever its driver is. So does a slot. */
  readonly held: ReadonlyMap<string, string>;
}

export interface Offer {
  /** One for every resource of the configuration, even without units. No unit has problems yet; health.ts adds them. */
  readonly resources: readonly Resource[];
  /** VFs that fit more than one pool, in words. The first such pool in the file gets the VF. */
  readonly conflicts: readonly string[];
}

export function makeOffer(config: Config, machine: Machine): Offer {
  const chosen = machine.vfs.map((vf) => ({ vf, pools: poolsFor(config, vf, machine) }));
  const conflicts = chosen.flatMap(({ vf, pools }) => {
    const competing = pools[0]?.resources.length === 0 ? [] : pools.filter(({ resources }) => resources.length > 0);
    return competing.length > 1 ? [describeConflict(vf, competing)] : [];
  });
  const byPool = Map.groupBy(chosen, ({ pools }) => pools[0]);
  return {
    conflicts,
    resources: config.pools.flatMap((pool) =>
      makeResources(
        pool,
        (byPool.get(pool) ?? []).map(({ vf }) => vf),
        machine,
      ),
    ),
  };
}

/** The pools that offer a VF: one, none, or (a conflict) several. */
function poolsFor(config: Config, vf: Vf, machine: Machine): readonly Pool[] {
  const holder = machine.held.get(vf.address);
  const home = holder === undefined ? undefined : config.pools.find((pool) => pool.resources.some(({ name }) => name === holder));
  return home === undefined ? config.pools.filter((pool) => whyNot(pool, vf, machine.sockets).length === 0) : [home];
}

/** Why a pool does not offer a VF, even if its selectors fit. Empty when it does. */
export function whyNot(pool: Pool, vf: Vf, sockets: Sockets): readonly string[] {
  if (!pool.selectors.some((selector) => fits(selector, vf))) return ['no selector fits'];
  const nowhere = numaNodes(pool.numaPolicy, vf.numaNode, sockets) === undefined;
  return [...vf.inUse, ...(nowhere ? [`numaPolicy ${pool.numaPolicy}: the machine does not say ${unknownPlace(pool, vf)}`] : [])];
}

function unknownPlace(pool: Pool, vf: Vf): string {
  if (vf.numaNode === undefined) return 'which NUMA node it is on';
  return pool.numaPolicy === 'socket' ? `which socket NUMA node ${vf.numaNode} is on` : 'where it is';
}

function makeResources(pool: Pool, vfs: readonly Vf[], { sockets, held }: Machine): readonly Resource[] {
  const units: readonly Unit[] = vfs.map((vf) => ({
    id: vf.address,
    vf,
    problems: [],
    numaNodes: numaNodes(pool.numaPolicy, vf.numaNode, sockets) ?? [],
  }));
  return pool.resources.map(({ name, vnicType }) => ({
    name,
    pool: pool.name,
    vnicType,
    ...(pool.slots === undefined && { driver: driverOf(vnicType, pool) }),
    allocation: pool.allocation,
    cdi: pool.cdi,
    units: pool.slots === undefined ? units : makeSlots(pool.name, pool.slots, heldAs(held, name)),
  }));
}

/** The pool's driver, if the type can use it. */
function driverOf(type: OfferedType, { driver }: Pool): VfDriver {
  const { drivers } = offers[type];
  return drivers.includes(driver) ? driver : drivers[0];
}

/** Slots, for pools that only give away sockets. When there are fewer than before, the slots that pods have stay. */
function makeSlots(pool: string, count: number, held: ReadonlySet<string>): readonly Unit[] {
  const names = Array.from({ length: count }, (_, at) => `${pool}-${at}`);
  const kept = [...held.difference(new Set(names))].filter((id) => id.startsWith(`${pool}-`));
  return [...names, ...kept].map((id) => ({ id, problems: [], numaNodes: [] }));
}

function heldAs(held: Machine['held'], resource: string): ReadonlySet<string> {
  return new Set([...held].flatMap(([id, holder]) => (holder === resource ? [id] : [])));
}

function describeConflict(vf: Vf, [first, ...others]: readonly Pool[]): string {
  const rest = others.map((pool) => `${pool.name} (line ${pool.line})`).join(' and ');
  return (
    `VF ${vf.address} (vf ${vf.index} of ${vf.pf.netdev ?? vf.pf.address}) fits pool ${first?.name} (line ${first?.line}) and ${rest}; ` +
    'a VF belongs to one pool: narrow the selectors of one of them'
  );
}
