// Which vf is held under which resource name: rules on a map. Who asks kubelet is allocations.ts.

export interface Holding {
  /** The resource name it was allocated as, e.g. `smartnic.io/direct`; another plugin's name as well. */
  readonly resource: string;
  /** When Allocate or kubelet last spoke of it, milliseconds of a clock that never jumps. */
  readonly seen: number;
}

/** By PCI address. */
export type Holdings = ReadonlyMap<string, Holding>;

/** A device that kubelet says a container has. */
export interface Held {
  readonly id: string;
  readonly resource: string;
}

/**
 * Notes an answered Allocate and returns whether a holder changed. The caller has made sure that none of them is held under another
 * name. Changes the map: a copy of hundreds of entries for each call would be most of an Allocate's time.
 */
export function take(holdings: Map<string, Holding>, ids: readonly string[], resource: string, now: number): boolean {
  const changed = ids.some((id) => holdings.get(id)?.resource !== resource);
  for (const id of ids) holdings.set(id, { resource, seen: now });
  return changed;
}

/**
 * Takes over kubelet's complete list. A vf that it no longer lists is freed only after `grace` milliseconds without a word of it:
 * kubelet lists a pod's devices some time after Allocate, and after its own restart it lists pods only as it learns of them.
 */
export function reconcile(holdings: Holdings, listed: readonly Held[], now: number, grace: number): Map<string, Holding> {
  const names = Map.groupBy(listed, (held) => held.id);
  const next = new Map<string, Holding>();
  for (const [id, holding] of holdings) {
    if (names.get(id)?.some((held) => held.resource === holding.resource)) next.set(id, { ...holding, seen: now });
    else if (now - holding.seen <= grace) next.set(id, holding);
  }
  for (const { id, resource } of listed) if (!next.has(id)) next.set(id, { resource, seen: now });
  return next;
}

/** Whether the same vfs are held under the same names. */
export function sameHolders(a: Holdings, b: Holdings): boolean {
  return a.size === b.size && a.entries().every(([id, holding]) => b.get(id)?.resource === holding.resource);
}

/** Vfs that kubelet lists under more than one name, in words: two pods have the same hardware in hand. */
export function heldTwice(listed: readonly Held[]): readonly string[] {
  return [...Map.groupBy(listed, (held) => held.id)]
    .map(([id, held]) => [id, [...new Set(held.map((one) => one.resource))].sort()] as const)
    .filter(([, resources]) => resources.length > 1)
    .map(([id, resources]) => `${id} is in two hands: kubelet lists it as ${resources.join(' and as ')}`);
}
