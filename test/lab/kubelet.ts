// The fake kubelet in the guest, as seen from here: it admits pods, asking the real device plugin there for devices, and answers
// PodResources to the real CNI server.
import { join } from 'node:path';
import type { PodSpec } from '../support/fake-kubelet.ts';
import { bundle } from './bundle.ts';
import type { Lab } from './lab.ts';

export interface KubeletOrder {
  readonly what: 'admit' | 'give' | 'remove' | 'offered';
  readonly pod: PodSpec;
  readonly device?: string;
}

export type KubeletAnswer = { readonly value?: unknown } | { readonly error: string };

/** What a pod was given: one entry per container and resource. */
export interface Given {
  readonly resource: string;
  readonly ids: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  /** `/dev/vfio/16:/dev/vfio/16:rw` */
  readonly devices: readonly string[];
}

export interface LabKubelet {
  /** `pod` is `namespace/name`; throws what the pod's status would say. */
  admit(pod: string, limits: Readonly<Record<string, number>>): Promise<readonly Given[]>;
  /** The pod has that device, whatever the device plugin says of it now. */
  give(pod: string, resource: string, device: string): Promise<void>;
  remove(pod: string): Promise<void>;
  /** Waits until so many of the resource can be allocated. */
  untilOffered(resource: string, count: number): Promise<void>;
}

/** Before the device plugin, as on a node. It ends with the guest. */
export async function startLabKubelet(lab: Lab): Promise<LabKubelet> {
  const file = await bundle(lab, join(import.meta.dirname, 'guest/kubelet.ts'));
  // The bundle looks for proto/ beside its folder.
  await lab.sh(`
    [ -e /proto ] || ln -s /smartnic/proto /proto
    mkdir -p /var/lib/kubelet
    setsid node ${file} /run/kubelet-orders </dev/null >/share/kubelet.log 2>&1 &
    for tries in $(seq 600); do [ -S /run/kubelet-orders ] && exit 0; sleep 0.1; done
    echo "the fake kubelet does not start in the guest" >&2
    cat /share/kubelet.log >&2
    exit 1
  `);
  const order = async (
    what: KubeletOrder['what'],
    name: string,
    limits: Readonly<Record<string, number>> = {},
    more: Pick<KubeletOrder, 'device'> = {},
  ): Promise<unknown> => {
    const input = JSON.stringify({ what, pod: { name, containers: { main: limits } }, ...more } satisfies KubeletOrder);
    const answer: KubeletAnswer = JSON.parse(await lab.sh('socat -t 120 - UNIX:/run/kubelet-orders', { input, timeout: 120 }));
    if ('error' in answer) throw new Error(answer.error);
    return answer.value;
  };
  // A real node always has some pod. The device plugin does not believe a list without any.
  await order('admit', 'kube-system/always');
  return {
    admit: async (pod, limits) => (await order('admit', pod, limits)) as readonly Given[],
    give: async (pod, resource, device) => {
      await order('give', pod, { [resource]: 1 }, { device });
    },
    remove: async (pod) => {
      await order('remove', pod);
    },
    untilOffered: async (resource, wanted) => {
      await order('offered', 'any/pod', { [resource]: wanted });
    },
  };
}
