// Who has which VF now, in words for a person. It asks the same two witnesses as the device plugin: kubelet, and the checkpoint that kubelet writes
// for itself. Kubelet's answer leaves out what only ordinary init containers were given, and kubelet keeps that for the life of the pod.
import { join } from 'node:path';
import { messageOf } from '../host/base/errors.ts';
import type { Machine } from '../host/base/machine.ts';
import { readCheckpoint } from '../host/kube/kubelet-checkpoint.ts';
import { listPodDevices } from '../host/kube/podresources.ts';

export interface Holder {
  readonly id: string;
  /** e.g. `smartnic.io/direct`. */
  readonly resource: string;
  /** `smartnic.io/direct in default/pod-7 (container app)` */
  readonly words: string;
}

export interface Holders {
  /** By PCI address or slot. */
  readonly holders: ReadonlyMap<string, Holder>;
  /** Who could not be asked, in words. */
  readonly problems: readonly string[];
}

/** @param kubeletDir - as the machine sees it. */
export async function readHolders(host: Machine, kubeletDir: string): Promise<Holders> {
  const [listed, noted] = [await listHolders(host, kubeletDir), notedHolders(host, kubeletDir)];
  // Of two that name the same VF, the later one stays: kubelet's answer also says the pod's name.
  const all = [...noted.found, ...listed.found];
  return { holders: new Map(all.map((one) => [one.id, one])), problems: [...listed.problems, ...noted.problems] };
}

interface Found {
  readonly found: readonly Holder[];
  readonly problems: readonly string[];
}

async function listHolders(host: Machine, kubeletDir: string): Promise<Found> {
  try {
    const pods = await listPodDevices(host, { socket: join(kubeletDir, 'pod-resources/kubelet.sock'), timeout: 2000 });
    const found = pods.flatMap(({ namespace, name, devices }) =>
      devices.flatMap(({ container, resource, ids }) =>
        ids.map((id) => ({ id, resource, words: `${resource} in ${namespace}/${name} (container ${container})` })),
      ),
    );
    return { found, problems: [] };
  } catch (error) {
    return { found: [], problems: [`which VFs pods have is not known: ${messageOf(error)}`] };
  }
}

/** The checkpoint names a pod only by its UID. */
function notedHolders(host: Machine, kubeletDir: string): Found {
  try {
    const entries = readCheckpoint(host, join(kubeletDir, 'device-plugins/kubelet_internal_checkpoint')) ?? [];
    const found = entries.flatMap(({ podUid, container, resource, ids }) =>
      ids.map((id) => ({
        id,
        resource,
        words: `${resource} in the pod with UID ${podUid} (container ${container}), as kubelet's checkpoint says`,
      })),
    );
    return { found, problems: [] };
  } catch (error) {
    return { found: [], problems: [`which VFs init containers have is not known: ${messageOf(error)}`] };
  }
}
