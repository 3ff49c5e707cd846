// Which vf is held under which resource name: rules on a map. Who asks kubelet is allocations.ts.

export interface Holding {
  /** The resource name it was allocated as, e.g. `smartnic.io/direct`; another plugin's name as well. */
  readonly resource: string;
  /** Since when, in milliseconds of a clock that never jumps. */
  readonly since: number;
  /** Kubelet has named it since. What an Allocate gave out it names only some time after the answer. */
  readonly named: boolean;
  /** Since when kubelet names it no longer. It is in no pod's hand then, and only kept from the other names for a while. */
  readonly freeSince?: number;
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
  const changed = ids.some((id) => inHand(holdings.get(id)) !== resource);
  for (const id of ids) holdings.set(id, { resource, since: now, named: false });
  return changed;
}

/** All that kubelet names, in answer to one question. */
export interface Answer {
  /** What may stand for the truth stands first. */
  readonly held: readonly Held[];
  /** Whether what it does not name is free. */
  readonly complete: boolean;
  /** When it was asked, and now, on the holdings' clock. */
  readonly asked: number;
  readonly now: number;
}

/** Milliseconds. */
export interface Patience {
  /** From an Allocate's answer until kubelet names what it gave out, at the latest. */
  readonly naming: number;
  /** For which a vf that came back is kept from the names that it was not held under. */
  readonly grace: number;
}

/** Takes over kubelet's answer. */
export function reconcile(holdings: Holdings, answer: Answer, patience: Patience): Map<string, Holding> {
  const { held, asked, now, complete } = answer;
  const names = Map.groupBy(held, (one) => one.id);
  const next = new Map<string, Holding>();
  for (const [id, holding] of holdings) {
    const { freeSince = now, ...taken } = holding;
    const named = names.get(id);
    if (named?.some(({ resource }) => resource === holding.resource)) next.set(id, { ...taken, named: true });
    else if (!complete || (!holding.named && asked < holding.since + patience.naming)) next.set(id, holding);
    else if (named === undefined && now - freeSince < patience.grace) next.set(id, { ...taken, freeSince });
  }
  for (const { id, resource } of held) if (!next.has(id)) next.set(id, { resource, since: now, named: true });
  return next;
}

/** The resource that a pod has it as now. */
export function inHand(holding: Holding | undefined): string | undefined {
  return holding?.freeSince === undefined ? holding?.resource : undefined;
}

/** What pods have now, by PCI address: the resource. */
export function allInHand(holdings: Holdings): ReadonlyMap<string, string> {
  return new Map([...holdings].flatMap(([id, { resource, freeSince }]) => (freeSince === undefined ? [[id, resource]] : [])));
}

/** Whether the same vfs are held, and have come back, under the same names. */
export function sameHolders(a: Holdings, b: Holdings): boolean {
  return a.size === b.size && a.entries().every(([id, holding]) => sameHolder(holding, b.get(id)));
}

function sameHolder(a: Holding, b: Holding | undefined): boolean {
  return a.resource === b?.resource && (a.freeSince === undefined) === (b.freeSince === undefined);
}

/** Vfs that kubelet lists under more than one name, in words: two pods have the same hardware in hand. */
export function heldTwice(listed: readonly Held[]): readonly string[] {
  return [...Map.groupBy(listed, (held) => held.id)]
    .map(([id, held]) => [id, [...new Set(held.map((one) => one.resource))].sort()] as const)
    .filter(([, resources]) => resources.length > 1)
    .map(([id, resources]) => `${id} is in two hands: kubelet lists it as ${resources.join(' and as ')}`);
}
