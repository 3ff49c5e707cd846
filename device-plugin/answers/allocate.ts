// What a container gets for the VFs that kubelet chose for it, or why it gets nothing. Pure: it answers from a snapshot and touches nothing.
import { messageOf } from '../../host/base/errors.ts';
import { cdiName } from '../../inventory/files/cdi.ts';
import { grantOf } from '../../inventory/offer/grants.ts';
import type { Resource, Unit } from '../../inventory/offer/resource.ts';
import type { DeviceNode, Grant, Mount } from '../../vnic/grant.ts';
import { Refusal } from './refusal.ts';
import { findResource, holderElsewhere, type Snapshot, sharedIds } from './snapshot.ts';

/** The content of kubelet's ContainerAllocateResponse. */
export interface Allocation {
  readonly envs: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly devices: readonly DeviceNode[];
  readonly cdiDevices: readonly string[];
}

/**
 * Answers one Allocate: one allocation per container request, in their order, or none at all.
 * Throws Refusal for an empty request, and for an id that is repeated, unknown, in another pool, unhealthy, or held under another name.
 */
export function allocate(snapshot: Snapshot, name: string, requests: readonly (readonly string[])[]): readonly Allocation[] {
  if (requests.length === 0) throw new Refusal('invalid', `Allocate of ${name} names no container: kubelet always sends one`);
  const ids = requests.flat();
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined)
    throw new Refusal('invalid', `Allocate of ${name} asks for ${twice} twice: one VF goes to one container`);
  const resource = findResource(snapshot, name);
  if (resource === undefined) {
    throw new Refusal('notFound', `${name} is no longer offered on this node: its pool was removed from the configuration`);
  }
  return requests.map((request) => allocateContainer(snapshot, resource, request));
}

function allocateContainer(snapshot: Snapshot, resource: Resource, ids: readonly string[]): Allocation {
  if (ids.length === 0)
    throw new Refusal('invalid', `Allocate of ${resource.name} names no device: kubelet always names at least one`);
  const units = [...ids].sort().map((id) => admit(snapshot, resource, id));
  const grants = units.map((unit) => grantFor(resource, unit));
  return {
    envs: environment(resource.name, units, grants),
    mounts: unique(grants.flatMap((grant) => grant.mounts)),
    devices: unique(grants.flatMap((grant) => grant.devices)),
    cdiDevices: resource.cdi ? units.map((unit) => cdiName(resource, unit)) : [],
  };
}

function admit(snapshot: Snapshot, resource: Resource, id: string): Unit {
  const unit = resource.units.find((one) => one.id === id);
  if (unit === undefined) throw stranger(snapshot, resource, id);
  const holder = holderElsewhere(snapshot, resource.name, id);
  if (holder !== undefined) throw lostRace(resource, id, holder);
  const problems = [...unit.problems, ...(unit.untold ?? [])];
  if (problems.length > 0) {
    const text = `${id} of ${resource.name} is unhealthy: ${problems.join(', ')}`;
    throw new Refusal('precondition', `${text}. Kubelet is told again; \`smartnic.mjs explain ${id}\` on the node says more`);
  }
  if (snapshot.unknownHoldings !== undefined && sharedIds(snapshot, resource.name).has(id)) {
    const text = `${id} of ${resource.name} is offered under other names too, and it is not known yet under which it is held`;
    throw new Refusal('unavailable', `${text}: ${snapshot.unknownHoldings}. Create the pod again when that is mended`);
  }
  return unit;
}

function stranger(snapshot: Snapshot, resource: Resource, id: string): Refusal {
  const home = snapshot.resources.find((other) => other.units.some((unit) => unit.id === id));
  if (home === undefined) {
    const text = `${id === '' ? 'an empty id' : id} is not one of ${resource.name} (pool ${resource.pool}) on this node: it was removed, or is used by the host`;
    return new Refusal('notFound', `${text}. Kubelet is told the present list; create the pod again`);
  }
  return new Refusal(
    'notFound',
    `${id} belongs to ${home.name} (pool ${home.pool}), not to ${resource.name} (pool ${resource.pool})`,
  );
}

function lostRace(resource: Resource, id: string, holder: string): Refusal {
  const text = `${id} was asked for as ${resource.name} but is already held as ${holder}: this pod lost the race for a VF that is offered under both names`;
  return new Refusal('aborted', `${text}. Nothing is broken; create the pod again, kubelet now knows that the VF is taken`);
}

function grantFor(resource: Resource, unit: Unit): Grant {
  try {
    return grantOf(resource, unit);
  } catch (cause) {
    throw new Refusal('precondition', `cannot grant ${unit.id} as ${resource.name}: ${messageOf(cause)}`, { cause });
  }
}

/**
 * `PCIDEVICE_<RESOURCE>` and `PCIDEVICE_<RESOURCE>_INFO` as readers of the SR-IOV device plugin expect them: upper case, dots and
 * slashes become underscores, hyphens stay. A shell can't read a name with a hyphen, so such a pair is repeated without hyphens.
 */
function environment(name: string, units: readonly Unit[], grants: readonly Grant[]): Readonly<Record<string, string>> {
  const ids = units.map(({ id }) => id);
  const info = JSON.stringify(Object.fromEntries(grants.map((grant, at) => [ids[at], grant.info])));
  const key = `PCIDEVICE_${name.replaceAll(/[./]/g, '_').toUpperCase()}`;
  const keys = new Set([key, key.replaceAll('-', '_')]);
  return Object.fromEntries([...keys].flatMap((one) => [[one, ids.join(',')] as const, [`${one}_INFO`, info] as const]));
}

/** Several VFs share /dev/vfio/vfio, but each path must occur only once. */
function unique<T extends { readonly containerPath: string }>(items: readonly T[]): readonly T[] {
  return [...new Map(items.map((item) => [item.containerPath, item])).values()];
}
