// What is added to a pod so that it asks for what its interfaces take. Pure.

import type { Interface } from './interfaces.ts';
import { annotationsOf, askedBy, type Lasting, lastingContainers, type Pod } from './pod.ts';
import { countOf } from './quantity.ts';

export const containerKey = 'smartnic.io/container';

/** Of RFC 6902. */
export interface Operation {
  readonly op: 'add';
  readonly path: string;
  readonly value: unknown;
}

/** How many of each resource our interfaces take. */
export function needsOf(interfaces: readonly Interface[]): ReadonlyMap<string, number> {
  const resources = interfaces.flatMap(({ ours }) => ours?.resource ?? []);
  return new Map([...Map.groupBy(resources, (resource) => resource)].map(([resource, uses]) => [resource, uses.length]));
}

/** Applied twice it changes nothing the second time. Empty when the pod asks for enough, or names a container that it has not. */
export function reserve(pod: Pod, interfaces: readonly Interface[]): readonly Operation[] {
  const asked = askedBy(pod);
  const missing = [...needsOf(interfaces)]
    .map(([resource, count]) => [resource, count - (asked.get(resource) ?? 0)] as const)
    .filter(([, count]) => count > 0);
  const chosen = chosenContainer(pod);
  if (missing.length === 0 || chosen === undefined) return [];
  const { container, path } = chosen;
  const { limits, requests } = container.resources ?? {};
  // Kubernetes wants requests and limits of such a resource to be the same.
  const counts = missing.map(([resource, count]) => {
    const own = countOf(limits?.[resource] ?? requests?.[resource] ?? 0);
    return [resource, String(own + count)] as const;
  });
  const added = Object.fromEntries(counts);
  const value = { ...container.resources, limits: { ...limits, ...added }, requests: { ...requests, ...added } };
  return [{ op: 'add', path: `${path}/resources`, value }];
}

/** The one that the annotation names, else the first. Undefined when there is no such container. */
export function chosenContainer(pod: Pod): Lasting | undefined {
  const name = annotationsOf(pod)[containerKey];
  const all = lastingContainers(pod);
  return name === undefined ? all[0] : all.find(({ container }) => container.name === name);
}
