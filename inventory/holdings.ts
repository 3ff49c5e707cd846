// Which VF is held under which resource name. Rules on a map; device-plugin/kubelet/allocations.ts asks kubelet.

export interface Holding {
  /** The resource name as which it was allocated, e.g. `smartnic.io/direct`. It may be another plugin's name. */
  readonly resource: string;
  /** The time since which it is held, in milliseconds of a clock that never jumps. */
  readonly since: number;
  /** Whether kubelet has named it since then. After an Allocate, kubelet names the units only some time later. */
  readonly named: boolean;
  /** The time since which kubelet no longer names it. No pod has it then, but the other resource names don't get it for a while. */
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
 * Notes an answered Allocate, and returns whether a holder changed. The caller has made sure that no unit is held under another name. It
 * changes the map, because copying hundreds of entries for each call would take most of an Allocate's time.
 */
export function take(holdings: Map<string, Holding>, ids: readonly string[], resource: string, now: number): boolean {
  const changed = ids.some((id) => inHand(holdings.get(id)) !== resource);
  for (const id of ids) holdings.set(id, { resource, since: now, named: false });
  return changed;
}

/** All that kubelet names in answer to one question. */
export interface Answer {
  /** The most trustworthy entries come first. */
  readonly held: readonly Held[];
  /** Whether everything that it does not name is free. */
  readonly complete: boolean;
  /** The time of the question, and the present time, on the holdings' clock. */
  readonly asked: number;
  readonly now: number;
}

/** Times in milliseconds. */
export interface Patience {
  /** From an Allocate's answer until kubelet names the units, at the latest. */
  readonly naming: number;
  /** How long a VF that came back is kept from the names under which it was not held. */
  readonly grace: number;
}

/** Applies kubelet's answer to the holdings. */
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

/** The resource as which a pod has it now. Undefined when no pod has it. */
export function inHand(holding: Holding | undefined): string | undefined {
  return holding?.freeSince === undefined ? holding?.resource : undefined;
}

/** What pods have now: the resource by PCI address. */
export function allInHand(holdings: Holdings): ReadonlyMap<string, string> {
  return new Map([...holdings].flatMap(([id, { resource, freeSince }]) => (freeSince === undefined ? [[id, resource]] : [])));
}

/** Whether the same VFs are held, and the same ones have come back, under the same names. */
export function sameHolders(a: Holdings, b: Holdings): boolean {
  return a.size === b.size && a.entries().every(([id, holding]) => sameHolder(holding, b.get(id)));
}

function sameHolder(a: Holding, b: Holding | undefined): boolean {
  return a.resource === b?.resource && (a.freeSince === undefined) === (b.freeSince === undefined);
}

/** VFs that kubelet lists under more than one name, in words. Two pods have the same hardware then. */
export function heldTwice(listed: readonly Held[]): readonly string[] {
  return [...Map.groupBy(listed, (held) => held.id)]
    .map(([id, held]) => [id, [...new Set(held.map((one) => one.resource))].sort()] as const)
    .filter(([, resources]) => resources.length > 1)
    .map(([id, resources]) => `${id} is in two hands: kubelet lists it as ${resources.join(' and as ')}`);
}
