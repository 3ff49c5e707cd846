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

/**
 * The containers, the first one first, and the sidecars behind them. Kubelet names no devices of init containers that end (PodResources), so
 * these can't be an interface's; it gives the same device to a container later.
 */
export function lastingContainers({ spec }: Pod): readonly Lasting[] {
  const sidecar = ({ restartPolicy }: Container) => restartPolicy === 'Always';
  return [
    ...spec.containers.map((each, at) => ({ container: each, path: `/spec/containers/${at}` })),
    ...(spec.initContainers ?? [])
      .map((each, at) => ({ container: each, path: `/spec/initContainers/${at}` }))
      .filter((each) => sidecar(each.container)),
  ];
}

/** How many of each extended resource the pod asks for by itself. */
export function askedBy(pod: Pod): ReadonlyMap<string, number> {
  const all = lastingContainers(pod).flatMap(({ container: { resources } }) =>
    Object.entries({ ...resources?.requests, ...resources?.limits }),
  );
  return new Map(
    [...Map.groupBy(all, ([name]) => name)].map(([name, each]) => [name, sum(each.map(([, count]) => countOf(count)))]),
  );
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, each) => total + each, 0);
}
