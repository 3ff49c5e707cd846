// What a person is told about a pod at `kubectl apply`: why it would not be plugged, and what may not be meant. Pure.
// Whether its devices will do is asked of the code that the CNI server asks, with devices in place of those that kubelet will allocate.

import { annotationKey } from '../../network/annotation.ts';
import { chooseDevice, type Devices } from '../../network/device.ts';
import { Refusal } from '../../network/refusal.ts';
import { type Interface, idleWords, interfacesOf, type World } from './interfaces.ts';
import { annotationsOf, askedBy, heldBy, lastingContainers, nameOf, type Pod } from './pod.ts';
import { chosenContainer, containerKey, needsOf, type Operation, reserve } from './reserve.ts';

export interface Verdict {
  readonly warnings: readonly string[];
  /** Absent: the pod is allowed. */
  readonly refusal?: string;
}

/** Nothing for a pod that will be refused: the second webhook says why. */
export function mutatePod(pod: Pod, namespace: string, world: World): readonly Operation[] {
  const { interfaces, refusals } = interfacesOf(pod, namespace, world);
  return refusals.length > 0 || pod.spec.hostNetwork === true ? [] : reserve(pod, interfaces);
}

export function judgePod(pod: Pod, namespace: string, world: World): Verdict {
  const { interfaces, refusals, warnings } = interfacesOf(pod, namespace, world);
  const ours = interfaces.filter((each) => each.ours !== undefined);
  const found = [...refusals, ...(refusals.length > 0 ? [] : [...inHostNetwork(pod, ours), ...wrongContainer(pod, ours)])];
  const devices = found.length > 0 ? { refusals: [], warnings: [] } : handOut(pod, namespace, interfaces);
  const all = [...found, ...devices.refusals];
  return {
    warnings: [
      ...warnings,
      ...devices.warnings,
      ...(refusals.length > 0 ? [] : idleWords(pod, interfaces)),
      ...notOffered(ours, world),
      ...surplus(pod, interfaces, world),
    ],
    ...(all.length === 0 ? {} : { refusal: [...new Set(all)].join('; ') }),
  };
}

function inHostNetwork(pod: Pod, ours: readonly Interface[]): readonly string[] {
  const says = annotationKey in annotationsOf(pod);
  if (pod.spec.hostNetwork !== true || (!says && ours.length === 0)) return [];
  const what = ours.length > 0 ? `networks ${ours.map(({ network }) => network).join(', ')}` : `annotation ${annotationKey}`;
  return [
    `hostNetwork: no CNI plugin is called for a pod in the node's own network, so its ${what} would mean nothing; leave one of them out`,
  ];
}

function wrongContainer(pod: Pod, ours: readonly Interface[]): readonly string[] {
  if (chosenContainer(pod) !== undefined || ours.length === 0) return [];
  const there = lastingContainers(pod).map(({ container }) => container.name);
  return [
    `annotation ${containerKey}: "${annotationsOf(pod)[containerKey]}" is not a container of this pod that lasts; write one of ${there.join(', ')}`,
  ];
}

/** Plays Multus and then the CNI server, interface by interface. */
function handOut(pod: Pod, namespace: string, interfaces: readonly Interface[]): Pick<Interfacing, 'refusals' | 'warnings'> {
  const held: readonly Devices[] = [...heldBy(pod)].map(([resource, count]) => ({
    resource,
    // More than one for each interface changes nothing.
    ids: Array.from({ length: Math.min(count, interfaces.length) }, (_, at) => `${resource}#${String(at + 1).padStart(3, '0')}`),
  }));
  const given = { held, asked: askedBy(pod), pod: nameOf(pod, namespace) };
  return interfaces.reduce<Interfacing>((before, each) => plug(before, each, given), {
    ...{ refusals: [], warnings: [], taken: new Map(), handed: new Map(), chose: new Map() },
  });
}

interface Given {
  readonly held: readonly Devices[];
  /** How many of each resource Multus has to hand out. */
  readonly asked: ReadonlyMap<string, number>;
  readonly pod: string;
}

interface Interfacing {
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  /** The interface by the device that it has. */
  readonly taken: ReadonlyMap<string, string>;
  /** How many devices of each resource Multus has handed out. */
  readonly handed: ReadonlyMap<string, number>;
  /** By resource: the interface that took a device which Multus did not name. */
  readonly chose: ReadonlyMap<string, string>;
}

function plug(
  before: Interfacing,
  { ifname, handsOut, countsAlone, ours }: Interface,
  { held, asked: counts, pod }: Given,
): Interfacing {
  const at = countsAlone ? 0 : (before.handed.get(handsOut ?? '') ?? 0);
  const has = at < (counts.get(handsOut ?? '') ?? 0);
  const named = has ? held.find(({ resource }) => resource === handsOut)?.ids[at] : undefined;
  const handed = handsOut === undefined || countsAlone ? before.handed : new Map(before.handed).set(handsOut, at + 1);
  if (ours?.resource === undefined) return { ...before, handed };
  const { resource, type, config } = ours;
  const { taken, chose } = before;
  // Which device Multus names is not known before kubelet has allocated them: it may be one that another interface chose by itself.
  const rival = named === undefined || handsOut !== resource ? undefined : (taken.get(named) ?? chose.get(resource));
  const asked = rival === undefined ? named : undefined;
  const warnings = rival === undefined ? before.warnings : [...before.warnings, rivals(rival, ifname, resource)];
  try {
    const id = chooseDevice(held, { pod, network: config.name, resource, type, asked, taken });
    const choosing = named === undefined ? new Map(chose).set(resource, ifname) : chose;
    return { ...before, warnings, handed, taken: new Map(taken).set(id, ifname), chose: choosing };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ...before, warnings, handed, refusals: [...before.refusals, error.message] };
  }
}

function rivals(one: string, other: string, resource: string): string {
  return (
    `interfaces ${one} and ${other} may reach for the same ${resource}, because Multus does not count the devices of both; ` +
    `give the networks of both the annotation k8s.v1.cni.cncf.io/resourceName, or neither`
  );
}

function notOffered(ours: readonly Interface[], { offered }: World): readonly string[] {
  return ours.flatMap(({ ifname, ours: one }) => {
    if (offered === undefined || one?.resource === undefined || offered.has(one.resource)) return [];
    const there = offered.size === 0 ? 'there is none' : `there are: ${[...offered].join(', ')}`;
    return [`no pool offers ${one.resource}, which interface ${ifname} takes as ${one.type}, so the pod stays Pending; ${there}`];
  });
}

function surplus(pod: Pod, interfaces: readonly Interface[], { offered }: World): readonly string[] {
  if (!interfaces.some(({ ours }) => ours !== undefined)) return [];
  const needs = needsOf(interfaces);
  const others = new Set(interfaces.filter(({ ours }) => ours === undefined).map(({ handsOut }) => handsOut));
  const isOurs = (resource: string) =>
    needs.has(resource) || offered?.has(resource) === true || resource.startsWith('smartnic.io/');
  return [...askedBy(pod)]
    .filter(([resource, count]) => isOurs(resource) && !others.has(resource) && count > (needs.get(resource) ?? 0))
    .map(
      ([resource, count]) =>
        `resources.limits ask for ${count} of ${resource}, but the pod's interfaces take ${needs.get(resource) ?? 0}; the rest is reserved for nothing`,
    );
}
