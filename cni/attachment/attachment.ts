// One attachment: a pod interface on a network. Its identity, its names, and all that is needed to take it away again.
import { createHash } from 'node:crypto';
import type { VnicType } from '../../vnic/index.ts';
import type { Reserved } from '../../vnic/port.ts';
import type { IpamCall } from '../protocol/ipam.ts';
import type { Args, Request } from '../protocol/request.ts';

/** SPEC section 2: network name, container id and interface name make an attachment. */
export interface AttachmentKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

/** What ADD means to do, complete enough that DEL, GC or a sweep can undo it without the runtime's help. */
export interface Attachment extends AttachmentKey {
  readonly id: string;
  /** Name of the cable's host end and of the OVS port; no port has it where hasPort says so. */
  readonly bridgePort: string;
  readonly vnicType: VnicType;
  readonly ovsdb: string;
  readonly bridge: string;
  readonly netns: string;
  readonly pod: Args;
  readonly ipam?: IpamCall;
  /** For types that reserve something, with what fences it. */
  readonly reserved?: Reserved & { readonly generation: number };
  /** Whether hooks run for it. */
  readonly hooks?: true;
  /** Path of the device-info file that Multus reads. */
  readonly deviceInfo?: string;
  /** /proc/sys/kernel/random/boot_id at ADD: another one now means that the pod is gone. */
  readonly bootId: string;
  /** When the ADD began, ISO 8601: for people, since a clock can be set back. */
  readonly since: string;
  /** The same in microseconds of CLOCK_MONOTONIC: tells which of two attachments of one boot is the newer one. */
  readonly began: number;
}

/** 48 bits of a hash: short enough for a netdev's name behind a prefix, the same after every restart. */
export function attachmentId({ network, containerId, ifname }: AttachmentKey): string {
  return createHash('sha256').update(`${network}\0${containerId}\0${ifname}`).digest('hex').slice(0, 12);
}

export function bridgePortName(id: string): string {
  return `sn${id}`;
}

/** The key under which work on one pod interface is done one after the other, whatever network it is for. */
export function lockKey({ containerId, ifname }: AttachmentKey): string {
  return `${containerId}\0${ifname}`;
}

export function keyOf(request: Pick<Request, 'config' | 'containerId' | 'ifname'>): AttachmentKey {
  return { network: request.config.name, containerId: request.containerId, ifname: request.ifname };
}

/** Every OVS port of ours carries this owner; ports without it are never touched. */
export const owner = 'smartnic.io';

/** The part of external_ids by which a port is found again when everything else is lost. */
export function findingIds({ network, containerId, ifname }: AttachmentKey): Readonly<Record<string, string>> {
  return { owner, 'smartnic-network': network, 'smartnic-container': containerId, 'smartnic-ifname': ifname };
}

/**
 * external_ids of the Interface row, the same keys for every vnic type. iface-id, attached-mac, iface-status, vm-id: Open vSwitch
 * integration guide; iface-id-ver: OVN; contIface, contNetns, contPodUid: readers that exist already.
 */
export function externalIds(
  attachment: Attachment,
  mac: string,
  extra: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { pod, ifname, netns, containerId, reserved } = attachment;
  const podName = pod.podNamespace && pod.podName ? `${pod.podNamespace}_${pod.podName}` : containerId;
  const podIds = pod.podUid ? { 'vm-id': pod.podUid, 'iface-id-ver': pod.podUid, contPodUid: pod.podUid } : {};
  return {
    ...extra,
    'iface-id': `${podName}_${ifname}`,
    'attached-mac': mac,
    'iface-status': 'active',
    ...podIds,
    contIface: ifname,
    contNetns: netns,
    ...findingIds(attachment),
    [typeKey]: attachment.vnicType,
    ...(reserved === undefined
      ? {}
      : { [reservedKeys[reserved.kind]]: reserved.id, 'smartnic-generation': String(reserved.generation) }),
  };
}

/** The external_id that says on a port what type it is, for when the journal is lost. */
export const typeKey = 'smartnic-type';

/** The external_id that names on a port what is reserved for it. */
export const reservedKeys = { vf: 'smartnic-pci', slot: 'smartnic-slot' } as const satisfies Record<Reserved['kind'], string>;

/** A VF without a representor is on its PF's own switch, so no bridge has a port for it. */
export function hasPort({ reserved }: Pick<Attachment, 'reserved'>): boolean {
  return reserved?.kind !== 'vf' || reserved.representor !== undefined;
}

/** A MAC that stays the same for the same pod and interface, over sandbox restarts: locally administered, unicast. */
export function stableMac(podUid: string, ifname: string): string {
  const hash = createHash('sha256').update(`${podUid}\0${ifname}`).digest();
  const first = ((hash[0] ?? 0) & 0xfc) | 0x02;
  return [first, ...hash.subarray(1, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
