// One attachment: a pod interface on a network. Its identity, its names, and everything that is needed to take it away again.
import { createHash } from 'node:crypto';
import type { IdChange } from '../../host/ovs/bridge.ts';
import type { VnicType } from '../../vnic/index.ts';
import type { Reserved } from '../../vnic/port.ts';
import type { IpamCall } from '../protocol/ipam.ts';
import type { Args, Request } from '../protocol/request.ts';

/** SPEC section 2: an attachment is identified by network name, container id and interface name. */
export interface AttachmentKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

/** What ADD is going to do. It is complete enough for DEL, GC or a sweep to undo it without the runtime's help. */
export interface Attachment extends AttachmentKey {
  readonly id: string;
  /** The name of the cable's host end and of the OVS port. There is no such port when hasPort is false. */
  readonly bridgePort: string;
  readonly vnicType: VnicType;
  readonly ovsdb: string;
  readonly bridge: string;
  readonly netns: string;
  readonly pod: Args;
  readonly ipam?: IpamCall;
  /** The VF or slot, and the generation that fences it. Absent for types that reserve nothing. */
  readonly reserved?: Reserved & { readonly generation: number };
  /** True when hooks run for it. */
  readonly hooks?: true;
  /** The path of the device-info file that Multus reads. */
  readonly deviceInfo?: string;
  /** True when only a DEL named it, with an OVSDB address of its network's own, and nothing shows that it was ever added. */
  readonly unproven?: true;
  /** /proc/sys/kernel/random/boot_id at ADD. When the machine's is another one, the pod is gone. */
  readonly bootId: string;
  /** When the ADD began, as ISO 8601. Only people read it, because a clock can be set back. */
  readonly since: string;
  /** The same time in microseconds of CLOCK_MONOTONIC. It tells which of two attachments of one boot is the newer one. */
  readonly began: number;
}

/** 48 bits of a hash. Behind a prefix it is short enough for a netdev's name, and it is the same after every restart. */
export function attachmentId({ network, containerId, ifname }: AttachmentKey): string {
  return createHash('sha256').update(`${network}\0${containerId}\0${ifname}`).digest('hex').slice(0, 12);
}

export function bridgePortName(id: string): string {
  return `sn${id}`;
}

/** Work with the same key runs one after the other. The key names a pod interface, on whatever network. */
export function lockKey({ containerId, ifname }: AttachmentKey): string {
  return `${containerId}\0${ifname}`;
}

export function keyOf(request: Pick<Request, 'config' | 'containerId' | 'ifname'>): AttachmentKey {
  return { network: request.config.name, containerId: request.containerId, ifname: request.ifname };
}

/** Every OVS port of ours carries this owner. Ports without it are never touched. */
export const owner = 'smartnic.io';

/** The part of external_ids by which a port is found when everything else is lost. */
export function findingIds({ network, containerId, ifname }: AttachmentKey): Readonly<Record<string, string>> {
  return { 'smartnic-container': containerId, 'smartnic-ifname': ifname, 'smartnic-network': network, owner };
}

/**
 * external_ids of the Interface row, with the same keys for every vnic type. The Open vSwitch integration guide defines iface-id, attached-mac,
 * iface-status and vm-id. OVN defines iface-id-ver. Existing tools read contIface, contNetns and contPodUid.
 */
export function externalIds(
  attachment: Attachment,
  mac: string,
  extra: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { pod, ifname, netns, reserved } = attachment;
  const podIds = pod.podUid ? { 'vm-id': pod.podUid, 'iface-id-ver': pod.podUid, contPodUid: pod.podUid } : {};
  return {
    ...extra,
    [ifaceIdKey]: ifaceId(attachment),
    'attached-mac': mac,
    [statusKey]: 'active',
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

/** The name under which a controller knows the interface. A pod's later sandbox has the same one. */
export function ifaceId({ pod, containerId, ifname }: Pick<Attachment, 'pod' | 'containerId' | 'ifname'>): string {
  return `${pod.podNamespace && pod.podName ? `${pod.podNamespace}_${pod.podName}` : containerId}_${ifname}`;
}

const ifaceIdKey = 'iface-id';
const statusKey = 'iface-status';
/** Where a port keeps the iface-id that a newer sandbox of its pod took over. */
const formerKey = 'smartnic-former-iface-id';

/**
 * Every other port of ours gives up this iface-id. A runtime may add a pod's new sandbox before it deletes the old one, or never delete the old
 * one, and a controller would bind either of two ports with one iface-id.
 */
export function takingIfaceId(id: string): IdChange {
  return {
    where: { owner, [ifaceIdKey]: id },
    remove: [ifaceIdKey],
    set: { [statusKey]: 'inactive', [formerKey]: id },
  };
}

/** The external_ids of a port whose iface-id a newer sandbox of its pod has, as takingIfaceId leaves them. */
export function superseded(ids: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { [ifaceIdKey]: id, ...rest } = ids;
  return id === undefined ? ids : { ...rest, [statusKey]: 'inactive', [formerKey]: id };
}

/** One port of ours gets back the iface-id that it gave up. */
export function givingBackIfaceId(id: string, port: AttachmentKey): IdChange {
  return {
    where: { ...findingIds(port), [formerKey]: id },
    unless: { owner, [ifaceIdKey]: id },
    remove: [formerKey],
    set: { [statusKey]: 'active', [ifaceIdKey]: id },
  };
}

/** The external_ids of the ports that gave up this iface-id. */
export function formerIds(id: string): Readonly<Record<string, string>> {
  return { owner, [formerKey]: id };
}

/** The external_id that names a port's vnic type. It is needed when the journal is lost. */
export const typeKey = 'smartnic-type';

/** The external_ids that name what is reserved for a port. */
export const reservedKeys = { vf: 'smartnic-pci', slot: 'smartnic-slot' } as const satisfies Record<Reserved['kind'], string>;

/** A VF without a representor is on its PF's own switch, so no bridge has a port for it. */
export function hasPort({ reserved }: Pick<Attachment, 'reserved'>): boolean {
  return reserved?.kind !== 'vf' || reserved.representor !== undefined;
}

/**
 * A MAC that stays the same for the same pod and interface, even in a new sandbox. Locally administered, unicast. It never begins with fe: libvirt
 * gives such a MAC to the host's end of a VM's tap, and refuses a VM that has one itself.
 */
export function stableMac(podUid: string, ifname: string): string {
  const hash = createHash('sha256').update(`${podUid}\0${ifname}`).digest();
  const local = ((hash[0] ?? 0) & 0xfc) | 0x02;
  const first = local === 0xfe ? 0xfa : local;
  return [first, ...hash.subarray(1, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
