// The two sources that know the devices of containers: kubelet itself (PodResources), and the checkpoint that kubelet writes for itself.
import { dirname, join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { isRemoved } from '../../host/files/removed.ts';
import { stampOf } from '../../host/files/stamp.ts';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import type { Host } from '../../host/host.ts';
import { onHost } from '../../host/kernel/sysfs.ts';
import { readCheckpoint } from '../../host/kube/kubelet-checkpoint.ts';
import type { PodName } from '../../host/kube/pod-name.ts';
import { listPodDevices } from '../../host/kube/podresources.ts';
import type { Held } from '../../inventory/holdings.ts';

export interface Asked {
  readonly host: Pick<Host, 'root'>;
  /** The path as the machine sees it, e.g. `/var/lib/kubelet`. */
  readonly kubeletDir: string;
  /** The pod in which we run. A list without it comes from a kubelet that doesn't know its pods yet, so such a list frees nothing. */
  readonly ownPod?: PodName;
}

export interface List {
  readonly held: readonly Held[];
  /** Whether kubelet has answered and knows its pods already. */
  readonly believed: boolean;
  /** The kubelet that answered. Undefined when another one may have started in the meantime. */
  readonly by?: string | undefined;
  readonly problems: readonly string[];
}

/** @param informed - the kubelet that has reported its pods. It does not forget them, so its later list is believed even without any pod. */
export async function askList({ host, kubeletDir, ownPod }: Asked, informed: string | undefined): Promise<List> {
  const socket = join(kubeletDir, 'pod-resources/kubelet.sock');
  const kubelet = () => findSocketIdentity(onHost(host, socket));
  try {
    const before = kubelet();
    const pods = await listPodDevices(host, { socket, timeout: 5000 });
    const by = kubelet() === before ? before : undefined;
    const held = pods.flatMap((pod) => pod.devices.flatMap(asHeld));
    const told = pods.some((pod) => ownPod === undefined || (pod.name === ownPod.name && pod.namespace === ownPod.namespace));
    const believed = told || (by !== undefined && by === informed);
    const missing = ownPod === undefined ? 'has no pod at all' : `lacks ${ownPod.namespace}/${ownPod.name}, where we run`;
    const problems = believed ? [] : [`kubelet's list of pods is not complete yet: it ${missing}; nothing is freed by it`];
    return { held, believed, by, problems };
  } catch (error) {
    return { held: [], believed: false, problems: [messageOf(error)] };
  }
}

export interface Checkpoint {
  /** Empty when there is no checkpoint, because kubelet has never given out a device. Absent when the checkpoint can't be read. */
  readonly held?: readonly Held[];
  readonly problems: readonly string[];
}

export interface CheckpointFile {
  /** Parses the file only when it has changed. */
  read(): Checkpoint;
  /** Whether the file has changed since it was last read. */
  hasChanged(): boolean;
}

export function openCheckpoint(host: Asked['host'], kubeletDir: string): CheckpointFile {
  const file = join(kubeletDir, 'device-plugins/kubelet_internal_checkpoint');
  let seen: string | undefined;
  let last: Checkpoint | undefined;

  const stamp = () => stampOf(onHost(host, file));

  return {
    read() {
      const now = stamp();
      if (last === undefined || now !== seen || last.held === undefined) last = parse();
      seen = now;
      return last;
    },
    hasChanged: () => stamp() !== seen,
  };

  function parse(): Checkpoint {
    try {
      if (isRemoved(onHost(host, dirname(file)))) throw new Error(`${dirname(file)} was removed and made anew`);
      return { held: (readCheckpoint(host, file) ?? []).flatMap(asHeld), problems: [] };
    } catch (error) {
      return { problems: [`${messageOf(error)}; no VF is freed until it can be read`] };
    }
  }
}

function asHeld({ ids, resource }: { readonly ids: readonly string[]; readonly resource: string }): readonly Held[] {
  return ids.map((id) => ({ id, resource }));
}
