// The interfaces that a pod will get, and what each of ours takes. Pure. The type is chosen by the code that chooses it at ADD.
import { messageOf } from '../../host/base/errors.ts';
import { show } from '../../host/base/explain.ts';
import { isRecord } from '../../host/base/json.ts';
import { annotationKey, chooseVnicType, parseAnnotation } from '../../network/annotation.ts';
import { askedMac } from '../../network/asked-mac.ts';
import { type Definition, resourceNameKey } from '../../network/definition.ts';
import { resourceOf } from '../../network/device.ts';
import type { NetworkConfig } from '../../network/keys.ts';
import { Refusal } from '../../network/refusal.ts';
import { defaultNetworkKey, type Selection, selectionsOf } from '../../network/selections.ts';
import { requireKeepable } from '../../network/vf-port.ts';
import { isOffered, offers, type VnicType } from '../../vnic/index.ts';
import { annotationsOf, type Pod } from './pod.ts';
import { type Read, readDefinition, readFor } from './read.ts';

export interface Ours {
  readonly config: NetworkConfig;
  readonly type: VnicType;
  /** Absent for a type that reserves nothing. */
  readonly resource?: string;
}

export interface Interface {
  readonly ifname: string;
  /** `namespace/name` of its NetworkAttachmentDefinition. */
  readonly network: string;
  /** The resource whose devices Multus hands out to this network, one to each interface. */
  readonly handsOut?: string;
  /** Multus counts the devices of a pod's own default network from the beginning again. */
  readonly countsAlone: boolean;
  /** Absent for other plugins' networks. */
  readonly ours?: Ours;
}

export interface Interfaces {
  readonly interfaces: readonly Interface[];
  /** Why the CNI server would not plug this pod, in its words. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

export interface World {
  /** The definitions that the pod names, by `namespace/name`. */
  readonly definitions: ReadonlyMap<string, Definition>;
  /** The cluster's own main network. It has no object, and its name is in its configuration. */
  readonly mainNetwork?: Definition | undefined;
  /** The resources of all pools. Absent when they are not known. */
  readonly offered?: ReadonlySet<string> | undefined;
}

/** A pod names a handful. With thousands of them one pod would keep the others waiting. */
const most = 100;

/** @throws Refusal for an annotation that Multus does not understand. */
export function namedBy(pod: Pod, namespace: string): readonly Selection[] {
  return selectionsOf(annotationsOf(pod), namespace);
}

export function interfacesOf(pod: Pod, namespace: string, world: World): Interfaces {
  const annotations = annotationsOf(pod);
  const annotation = annotations[annotationKey];
  const wrong = annotation === undefined ? undefined : refusalOf(() => parseAnnotation(annotation));
  if (wrong !== undefined) return { interfaces: [], refusals: [wrong], warnings: [] };
  let selections: readonly Selection[];
  try {
    selections = namedBy(pod, namespace);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { interfaces: [], refusals: [], warnings: [error.message] };
  }
  if (selections.length > most) {
    const words = `this pod names ${selections.length} networks, and smartnic looks at no more than ${most}; write its resources.limits by hand`;
    return { interfaces: [], refusals: [], warnings: [words] };
  }
  const found = selections.map((selection) => oneOf(selection, world, annotations));
  const main = defaultNetworkKey in annotations ? [] : mainInterface(world, annotation);
  const interfaces = [...main, ...found].flatMap((each) => each.interface ?? []);
  return {
    interfaces,
    refusals: [...main, ...found].flatMap(({ refusals = [] }) => refusals).concat(twice(interfaces)),
    warnings: found.flatMap(({ warnings = [] }) => warnings),
  };
}

interface Found {
  readonly interface?: Interface;
  readonly refusals?: readonly string[];
  readonly warnings?: readonly string[];
}

function oneOf(selection: Selection, { definitions }: World, annotations: Readonly<Record<string, string>>): Found {
  const { ifname, deviceID } = selection;
  const network = `${selection.namespace}/${selection.name}`;
  const definition = definitions.get(network);
  if (definition === undefined) return missing(network, ifname, annotationKey in annotations);
  const handsOut = definition.annotations[resourceNameKey];
  const known = {
    ...{ ifname, network, countsAlone: ifname === 'eth0' && defaultNetworkKey in annotations },
    ...(handsOut === undefined ? {} : { handsOut }),
  };
  const read = readFor(definition, selection);
  if (read === undefined) return { interface: known };
  const found = choose(read, ifname, annotations[annotationKey]);
  const byHand = `deviceID: "${deviceID}" is written by hand for interface ${ifname}; leave deviceID to Multus, never write it by hand`;
  if ('refusal' in found) return { interface: known, refusals: [found.refusal] };
  return { interface: { ...known, ours: found }, refusals: deviceID === undefined ? [] : [byHand] };
}

/** Whether it is ours can't be known. But a pod with our annotation would hang for want of its devices even when the network comes. */
function missing(network: string, ifname: string, isOurs: boolean): Found {
  const words = `there is no NetworkAttachmentDefinition ${network}, which this pod names for interface ${ifname}; create it before the pod`;
  return isOurs ? { refusals: [words] } : { warnings: [words] };
}

function mainInterface({ mainNetwork }: World, annotation: string | undefined): readonly Found[] {
  const read = mainNetwork === undefined ? undefined : readDefinition(mainNetwork);
  if (read === undefined) return [];
  const found = choose(read, 'eth0', annotation);
  const known = { ifname: 'eth0', network: read instanceof Refusal ? 'the main network' : read.name, countsAlone: false };
  return ['refusal' in found ? { interface: known, refusals: [found.refusal] } : { interface: { ...known, ours: found } }];
}

function choose(
  config: Exclude<Read, undefined>,
  ifname: string,
  annotation: string | undefined,
): Ours | { readonly refusal: string } {
  if (config instanceof Refusal) return { refusal: config.message };
  try {
    const type = chooseVnicType({ ifname, config, annotation });
    askedMac(config);
    requireSometimesKeepable(config, type);
    return { config, type, ...(isOffered(type) ? { resource: resourceOf(config, type) } : {}) };
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.message };
    throw error;
  }
}

/** Some nodes give a type of that kind a VF and others a slot. The network's promises are broken for sure only where both break them. */
function requireSometimesKeepable(config: NetworkConfig, type: VnicType): void {
  const kinds = isOffered(type) ? [true, ...(offers[type].slots ? [false] : [])] : [false];
  const words = kinds.map((needsVf) => refusalOf(() => requireKeepable(config, type, needsVf)));
  const [first] = words;
  if (first !== undefined && words.every((each) => each !== undefined)) throw new Refusal(first);
}

function twice(interfaces: readonly Interface[]): readonly string[] {
  return [...Map.groupBy(interfaces, ({ ifname }) => ifname)]
    .filter(([, uses]) => uses.length > 1 && uses.some(({ ours }) => ours !== undefined))
    .map(([ifname, uses]) => {
      const networks = uses.map(({ network }) => network).join(' and ');
      return `interface ${ifname} is asked for by ${networks}; give each network a name of its own behind @`;
    });
}

function refusalOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return messageOf(error);
    throw error;
  }
}

/** Words of the annotation that no interface and no network of the pod has. */
export function idleWords(pod: Pod, interfaces: readonly Interface[]): readonly string[] {
  const annotation = annotationsOf(pod)[annotationKey];
  const asked = annotation === undefined ? undefined : parseAnnotation(annotation);
  if (!isRecord(asked)) return [];
  const names = new Set(interfaces.flatMap(({ ifname, ours }) => (ours === undefined ? [] : [ifname, ours.config.name])));
  const mainIsUnknown = !interfaces.some(({ ifname }) => ifname === 'eth0');
  return Object.keys(asked)
    .filter((key) => !names.has(key) && !(mainIsUnknown && key === 'eth0'))
    .map((key) => {
      const there = names.size === 0 ? 'it has none of smartnic' : `there are: ${[...names].join(', ')}`;
      return `annotation ${annotationKey}: ${show(key)} is neither an interface nor a network of this pod; ${there}`;
    });
}
