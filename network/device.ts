// Which device an interface takes: of which resource, and which of those that kubelet allocated to the pod. Pure. The CNI server asks it for
// the devices that there are; admission asks it for devices that there would be, and so says the same.
import type { VnicType } from '../vnic/index.ts';
import type { NetworkConfig } from './keys.ts';
import { Refusal } from './refusal.ts';

/** The devices of one resource that one container has. */
export interface Devices {
  readonly resource: string;
  readonly ids: readonly string[];
}

/** The extended resource as which the device of an interface of that type must have been allocated. */
export function resourceOf({ resource }: Pick<NetworkConfig, 'resource'>, type: VnicType): string {
  return resource ?? `smartnic.io/${type}`;
}

export interface DeviceChoice {
  /** `namespace/name` */
  readonly pod: string;
  readonly network: string;
  readonly resource: string;
  readonly type: VnicType;
  /** The id that Multus names. Absent when we choose. */
  readonly asked: string | undefined;
  /** What the pod's other interfaces use: the interface by the device's id. */
  readonly taken: ReadonlyMap<string, string>;
}

/** If Multus names no id, it takes the first, in the order of addresses, that no other interface of the pod has. @throws Refusal. */
export function chooseDevice(held: readonly Devices[], { pod, network, resource, asked, taken, type }: DeviceChoice): string {
  const refuse = (why: string) => new Refusal(why);
  const right = [...new Set(held.filter((each) => each.resource === resource).flatMap(({ ids }) => ids))].sort();
  const others = held.filter(({ ids, resource: name }) => name !== resource && ids.length > 0);
  if (asked !== undefined) {
    const under = others.find(({ ids }) => ids.includes(asked));
    if (under !== undefined && !right.includes(asked)) {
      throw refuse(
        `deviceID: ${asked} is pod ${pod}'s as ${under.resource}, but network "${network}" takes ${resource} for ${type}; set the key "resource" of the ` +
          `network and the annotation k8s.v1.cni.cncf.io/resourceName to the same name`,
      );
    }
    if (!right.includes(asked)) {
      const has = right.length > 0 ? `${resource} of ${right.join(', ')}` : `no ${resource}`;
      throw refuse(
        `deviceID: kubelet has not allocated ${asked} to pod ${pod}, which has ${has}; leave deviceID to Multus, never write it by hand`,
      );
    }
    const user = taken.get(asked);
    if (user !== undefined)
      throw refuse(`deviceID: ${asked} is in use by interface ${user} of the same pod; each interface needs a device of its own`);
    return asked;
  }
  const free = right.find((id) => !taken.has(id));
  if (free !== undefined) return free;
  if (right.length > 0) {
    throw refuse(
      `pod ${pod} has ${right.length} of ${resource}, all in use by ${[...new Set(taken.values())].join(', ')}; ask for one more in its resources.limits`,
    );
  }
  const has = others.map((each) => `${each.resource}: ${each.ids.length}`).join(', ') || 'no devices at all';
  throw refuse(
    `pod ${pod} has no ${resource} (it has ${has}), which network "${network}" takes for ${type}; add ${resource}: 1 to a container's resources.limits`,
  );
}
