// The messages of virtio-forwarder's port control and statistics (proto/virtioforwarder.proto), to bytes and back. Pure.
import { findPciParts } from '../../base/pci-address.ts';
import type { PairName } from '../forwarder.ts';
import { decodeFields, encodeFields, type Fields } from './wire.ts';

/** PortControlRequest.Op */
const operations = { ADD: 0, REMOVE: 1, ADD_SOCK: 2, REMOVE_SOCK: 3, QUERY_PCI: 4 } as const;

export interface PortControlRequest {
  readonly op: keyof typeof operations;
  /** PCI address. */
  readonly device?: string;
  /** Number of a relay. */
  readonly relay?: number;
  readonly socket?: string;
}

/** With `conditional` the daemon does not report as an error what is there already or gone already, as far as it obeys that. */
export function encodePortControl({ op, device, relay, socket }: PortControlRequest): Buffer {
  return encodeFields([
    [1, operations[op]],
    [2, device === undefined ? undefined : encodePci(device)],
    [3, relay],
    [4, op === 'QUERY_PCI' ? undefined : 1],
    [7, socket],
  ]);
}

function encodePci(device: string): Buffer {
  const parts = findPciParts(device);
  if (parts === undefined) throw new Error(`virtio-forwarder can't relay to ${device}: it is not a PCI address dddd:bb:dd.f`);
  return encodeFields([
    [1, parts.domain],
    [2, parts.bus],
    [3, parts.slot],
    [4, parts.function],
  ]);
}

export interface PortControlResponse {
  readonly ok: boolean;
  readonly code?: number;
  /** Name of the daemon's function that refused, e.g. `virtio_add_sock_dev_pair()`. */
  readonly source?: string;
  /** Of QUERY_PCI: `0000:05:08.1`, in upper case; empty when the relay has no vf. */
  readonly answer?: string;
}

/** Throws when the bytes are no PortControlResponse. */
export function decodePortControl(bytes: Buffer): PortControlResponse {
  const fields = decodeFields(bytes);
  const [code, source, answer] = [fields.integer(5), fields.text(6), fields.text(7)];
  return {
    ok: required(fields.integer(4), 'status') === 1,
    ...(code === undefined ? {} : { code }),
    ...(source === undefined ? {} : { source }),
    ...(answer === undefined ? {} : { answer }),
  };
}

/** Of all relays, the idle ones too. */
export function encodeStats(): Buffer {
  return encodeFields([[2, 1]]);
}

/** A relay that has at least one of both, or whose state says that it may have a VF all the same. */
export interface Relay extends Partial<PairName> {
  readonly relay: number;
  /** `DPDK_READY VIRTIO_READY` */
  readonly status: string;
}

/** The states of a relay that has nothing. */
const idle = 'DPDK_UNINIT VIRTIO_UNINIT';

/** The daemon's words for "no socket". */
const noSocket = 'NONE';

/** Devices in lower case. Throws when the bytes are no StatsResponse, or one that says no. */
export function decodeStats(bytes: Buffer): readonly Relay[] {
  const fields = decodeFields(bytes);
  const status = required(fields.integer(1), 'status');
  if (status !== 0) throw new Error(`it answered with status ${status}`);
  return fields
    .messages(2)
    .map(decodeRelay)
    .filter(({ device, socket, status }) => device !== undefined || socket !== undefined || status !== idle);
}

function decodeRelay(state: Fields): Relay {
  const part = (number: number, field: number) => state.messages(number).at(-1)?.text(field);
  const [socket, device] = [required(part(5, 1), 'vhost_socket_name'), part(6, 1)];
  return {
    relay: required(state.integer(1), 'id'),
    status: `${part(7, 2) ?? '?'} ${part(8, 2) ?? '?'}`,
    ...(socket === noSocket || socket === '' ? {} : { socket }),
    ...(device === undefined || device === '' ? {} : { device: device.toLowerCase() }),
  };
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`its answer has no ${name}`);
  return value;
}
