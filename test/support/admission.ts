// Pods and networks as admission sees them.
import { type Pod, podShape } from '../../admission/review/pod.ts';
import type { Operation } from '../../admission/review/reserve.ts';
import type { Definition } from '../../network/definition.ts';

export const resourceName = 'k8s.v1.cni.cncf.io/resourceName';

/** A definition in the namespace `shop`, of ours unless the configuration says otherwise. */
export function definition(name: string, config: object = {}, resource?: string, namespace = 'shop'): Definition {
  const whole = { cniVersion: '1.0.0', name, type: 'smartnic', bridge: 'br-int', ...config };
  return {
    ...{ namespace, name, config: JSON.stringify(whole) },
    annotations: resource === undefined ? {} : { [resourceName]: resource },
  };
}

export const byName = (...definitions: readonly Definition[]): ReadonlyMap<string, Definition> =>
  new Map(definitions.map((each) => [`${each.namespace}/${each.name}`, each]));

export type Limits = Readonly<Record<string, unknown>>;

export interface PodWords {
  /** Multus' annotation. */
  readonly networks?: string | undefined;
  readonly main?: string | undefined;
  readonly vnicType?: string | undefined;
  readonly container?: string | undefined;
  /** Limits of each container. */
  readonly containers?: Readonly<Record<string, Limits>>;
  readonly sidecars?: Readonly<Record<string, Limits>>;
  readonly inits?: Readonly<Record<string, Limits>>;
  readonly hostNetwork?: boolean;
}

/** As the API server sends it: requests are as limits are. */
export function podOf({
  networks,
  main,
  vnicType,
  container,
  containers = { app: {} },
  sidecars,
  inits,
  hostNetwork,
}: PodWords): Pod {
  const annotations = Object.entries({
    'k8s.v1.cni.cncf.io/networks': networks,
    'v1.multus-cni.io/default-network': main,
    'smartnic.io/vnic-type': vnicType,
    'smartnic.io/container': container,
  }).filter(([, value]) => value !== undefined);
  const list = (all: Readonly<Record<string, Limits>> = {}, more: object = {}) =>
    Object.entries(all).map(([name, limits]) => ({
      ...{ name, image: 'i', ...more },
      ...(Object.keys(limits).length === 0 ? {} : { resources: { limits, requests: limits } }),
    }));
  return podShape.parse({
    metadata: { name: 'web', ...(annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations) }) },
    spec: {
      containers: list(containers),
      initContainers: [...list(inits), ...list(sidecars, { restartPolicy: 'Always' })],
      ...(hostNetwork === undefined ? {} : { hostNetwork }),
    },
  });
}

/** What the API server makes of a patch. */
export function patched<T>(object: T, operations: readonly Operation[]): T {
  const copy: T = structuredClone(object);
  for (const { path, value } of operations) {
    const keys = path
      .split('/')
      .slice(1)
      .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop() ?? '';
    const parent: unknown = keys.reduce<unknown>((at, key) => Reflect.get(Object(at), key), copy);
    if (typeof parent !== 'object' || parent === null) throw new Error(`${path}: there is nothing to add to`);
    Reflect.set(parent, last, structuredClone(value));
  }
  return copy;
}

/** Limits by container, of those that have any. */
export function limitsOf({ spec }: Pod): Readonly<Record<string, unknown>> {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  return Object.fromEntries(all.flatMap(({ name, resources }) => (resources?.limits ? [[name, resources.limits]] : [])));
}
