// The parts of a pod that matter here, as the API server sends it: decoded and with its defaults, but not validated yet. Pure.
import { z } from 'zod';
import { countOf } from './quantity.ts';

const quantities = z.record(z.string(), z.unknown()).nullish();
const container = z.looseObject({
  name: z.string().default(''),
  restartPolicy: z.string().nullish(),
  resources: z.looseObject({ limits: quantities, requests: quantities }).nullish(),
});

export const podShape = z.looseObject({
  metadata: z.looseObject({
    name: z.string().nullish(),
    generateName: z.string().nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.looseObject({
    hostNetwork: z.boolean().nullish(),
    containers: z.array(container).min(1),
    initContainers: z.array(container).nullish(),
  }),
});

export type Pod = Readonly<z.output<typeof podShape>>;
type Container = Readonly<z.output<typeof container>>;

/** A container whose devices are the pod's for as long as the pod runs. */
export interface Lasting {
  readonly container: Container;
  /** A JSON pointer. */
  readonly path: string;
}

export function annotationsOf({ metadata }: Pod): Readonly<Record<string, string>> {
  return metadata.annotations ?? {};
}

/** A pod of a controller gets its name after admission. */
export function nameOf({ metadata }: Pod, namespace: string): string {
  return `${namespace}/${metadata.name || `${metadata.generateName ?? ''}…`}`;
}

/** The containers, the first one first, and the sidecars behind them. */
export function lastingContainers({ spec }: Pod): readonly Lasting[] {
  const sidecar = ({ restartPolicy }: Container) => restartPolicy === 'Always';
  return [
    ...spec.containers.map((each, at) => ({ container: each, path: `/spec/containers/${at}` })),
    ...(spec.initContainers ?? [])
      .map((each, at) => ({ container: each, path: `/spec/initContainers/${at}` }))
      .filter((each) => sidecar(each.container)),
  ];
}

/** How many of each extended resource the pod's lasting containers ask for. Multus hands out theirs, and no others. */
export function askedBy(pod: Pod): ReadonlyMap<string, number> {
  return total(lastingContainers(pod).map(({ container: each }) => each));
}

/** How many the pod has in all: kubelet gives the devices of an init container to the lasting containers, and allocates only what is missing. */
export function heldBy(pod: Pod): ReadonlyMap<string, number> {
  const held = new Map(askedBy(pod));
  for (const each of pod.spec.initContainers ?? [])
    for (const [name, count] of total([each])) held.set(name, Math.max(count, held.get(name) ?? 0));
  return held;
}

function total(containers: readonly Container[]): ReadonlyMap<string, number> {
  const all = containers.flatMap(({ resources }) => Object.entries({ ...resources?.requests, ...resources?.limits }));
  return new Map(
    [...Map.groupBy(all, ([name]) => name)].map(([name, each]) => [name, sum(each.map(([, count]) => countOf(count)))]),
  );
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, each) => all + each, 0);
}
