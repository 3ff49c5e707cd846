// Which VF or slot the pod has: the one that kubelet allocated to this very pod. The words of pod and network are only checked against that.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { isPciAddress } from '../../host/base/pci-address.ts';
import { type CheckpointDevices, readCheckpoint } from '../../host/kube/kubelet-checkpoint.ts';
import type { PodName } from '../../host/kube/pod-name.ts';
import { chooseDevice, type Devices, resourceOf } from '../../network/device.ts';
import { Refusal } from '../../network/refusal.ts';
import type { VnicType } from '../../vnic/index.ts';
import type { Reserved } from '../../vnic/port.ts';
import type { Context } from '../attachment/context.ts';
import { findAllocatedTypes } from '../attachment/device-info.ts';
import { CniError, coded, codes } from '../protocol/errors.ts';
import type { Args, Request } from '../protocol/request.ts';

type Machine = Pick<Context, 'host' | 'settings'>;

export interface Wish {
  readonly type: VnicType;
  /** What a port of that type needs on this node. */
  readonly kind: Reserved['kind'];
  /** What the pod's other interfaces use: the interface by the device's id. */
  readonly taken: ReadonlyMap<string, string>;
}

/** It is loaded only where VFs are plugged, because gRPC takes 16 MB of a server's memory. */
const podResources = async () => await import('../../host/kube/podresources.ts');

/** @returns a PCI address or a slot's name. @throws CniError 7 when the device is not for this interface; Unavailable when kubelet can't be asked. */
export async function reservedDevice(context: Machine, request: Request, wish: Wish): Promise<string> {
  const pod = podOf(request.args, wish.type);
  const resource = resourceOf(request.config, wish.type);
  const asked = askedDevice(request);
  const held = withInitContainers(context, request.args, await devicesOf(context, request.args, pod));
  try {
    const id = chooseDevice(held, {
      pod: `${pod.namespace}/${pod.name}`,
      network: request.config.name,
      resource,
      asked,
      ...wish,
    });
    requireKind(id, resource, wish);
    requireType(context, { resource, id, type: wish.type });
    return id;
  } catch (error) {
    if (asked === undefined || !(error instanceof Refusal || error instanceof CniError)) throw coded(error);
    throw await namingHolder(context, coded(error), asked, request.args);
  }
}

/** The name in messages. */
export function nameOf(id: string): string {
  return isPciAddress(id) ? `VF ${id}` : `slot ${id}`;
}

/** After this check an id may become a part of a path. */
function requireKind(id: string, resource: string, { type, kind }: Pick<Wish, 'type' | 'kind'>): void {
  const refuse = (why: string) => new CniError(codes.invalidConfig, `${id}: was allocated as ${resource}, ${why}`);
  if (isPciAddress(id)) {
    if (kind === 'vf') return;
    throw refuse(`a VF, but this node's forwarder is ovs-dpdk, which takes none; give its pool "slots" instead of "selectors"`);
  }
  if (!/^[a-z0-9]([a-z0-9-]{0,68}[a-z0-9])?$/.test(id))
    throw refuse('and is neither a PCI address nor a slot; whose device plugin offers it?');
  if (kind === 'vf') {
    throw refuse(
      `a slot, but ${type} needs a VF on this node; slots are for "forwarder: { kind: ovs-dpdk }" in the node's configuration`,
    );
  }
}

/**
 * The other pod that has the device according to kubelet, in words. Asked when an earlier owner has not been torn down.
 * @throws Unavailable when kubelet can't be asked.
 */
export async function otherHolder({ host, settings }: Machine, id: string, pod: Args): Promise<string | undefined> {
  const all = await (await podResources()).listPodDevices(host, {
    socket: join(settings.kubeletDir, 'pod-resources/kubelet.sock'),
  });
  const holder = all.find(
    (one) => !(one.name === pod.podName && one.namespace === pod.podNamespace) && one.devices.some(({ ids }) => ids.includes(id)),
  );
  if (holder !== undefined) return `${holder.namespace}/${holder.name}`;
  const noted = notedDevices({ host, settings }).find(({ ids, podUid }) => ids.includes(id) && podUid !== pod.podUid);
  return noted && pod.podUid !== undefined ? `with UID ${noted.podUid}` : undefined;
}

function podOf({ podNamespace: namespace, podName: name }: Args, type: VnicType): PodName {
  if (namespace && name) return { namespace, name };
  throw new CniError(
    codes.badEnvironment,
    `CNI_ARGS: has no K8S_POD_NAMESPACE and K8S_POD_NAME, so no device can be proven to be the pod's; vnic type ${type} needs a runtime that names the pod`,
  );
}

/** Multus writes the id at the top (from the network's resourceName annotation) and, for networks with that capability, in runtimeConfig. */
function askedDevice({ config }: Request): string | undefined {
  const [top, capability] = [config.deviceID, config.runtimeConfig?.deviceID].map((id) => id?.toLowerCase());
  if (top !== undefined && capability !== undefined && top !== capability) {
    throw new CniError(
      codes.invalidConfig,
      `deviceID: is "${top}", but runtimeConfig.deviceID is "${capability}"; a network must not set it itself`,
    );
  }
  return top ?? capability;
}

async function devicesOf({ host, settings }: Machine, { podUid }: Args, pod: PodName): Promise<readonly Devices[]> {
  try {
    const socket = join(settings.kubeletDir, 'pod-resources/kubelet.sock');
    for (let tries = 1; ; tries++) {
      const found = await (await podResources()).findPodDevices(host, pod, { socket });
      if (found !== undefined) return found.devices;
      // A kubelet that has just started learns about its pods one by one.
      if (tries === 3)
        throw new Unavailable(`kubelet does not know pod ${pod.namespace}/${pod.name}, so its devices are not known`);
      await sleep(500);
    }
  } catch (error) {
    if (!(error instanceof Unavailable) || podUid === undefined) throw error;
    const noted = notedDevices({ host, settings }).filter((each) => each.podUid === podUid);
    if (noted.length === 0) throw error;
    host.log.warn({ pod, error: messageOf(error) }, "kubelet can't be asked: the pod's devices are those of its checkpoint");
    return noted;
  }
}

/** Kubelet's answer leaves out what only ordinary init containers were given. Kubelet keeps that for the life of the pod. */
function withInitContainers(context: Machine, { podUid }: Args, listed: readonly Devices[]): readonly Devices[] {
  if (podUid === undefined) return listed;
  const known = new Set(listed.flatMap(({ ids }) => ids));
  const noted = notedDevices(context).filter((each) => each.podUid === podUid && !each.ids.every((id) => known.has(id)));
  return [...listed, ...noted];
}

/** What kubelet has noted for itself. Empty when that can't be read, because kubelet's own answer is the better one. */
function notedDevices({ host, settings }: Machine): readonly CheckpointDevices[] {
  try {
    return readCheckpoint(host, join(settings.kubeletDir, 'device-plugins/kubelet_internal_checkpoint')) ?? [];
  } catch (error) {
    host.log.warn({ error: messageOf(error) }, "going on without kubelet's checkpoint: VFs of init containers are not known");
    return [];
  }
}

/** Uses what the device plugin wrote about the device, if it did. A resource name alone does not tell for which type it was allocated. */
function requireType({ host }: Machine, { resource, id, type }: { resource: string; id: string; type: VnicType }): void {
  const allocated = findAllocatedTypes(host, resource, id);
  if (allocated.length === 0 || allocated.some((each) => each === type)) return;
  throw new CniError(
    codes.invalidConfig,
    `${id}: was allocated as ${resource}, which the device plugin gives out for ${allocated.join(' or ')}, but this interface is ${type}; correct the key "resource" of the network, or the pool`,
  );
}

async function namingHolder(context: Machine, error: CniError, asked: string, pod: Args): Promise<CniError> {
  const holder = await otherHolder(context, asked, pod).catch(() => undefined);
  return holder === undefined ? error : new CniError(error.code, `${error.message} (pod ${holder} has it)`, { cause: error });
}
