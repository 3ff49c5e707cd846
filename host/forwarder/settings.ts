// The section `forwarder:` of the node's configuration says which forwarder the node has. The CNI server and the supervisor both read it.
import { z } from 'zod';

const absolute = z.string().regex(/^\//, 'is not an absolute path');
const endpoint = z.string().regex(/^ipc:\/\/\//, 'is not an endpoint ipc:///PATH');
const core = z.int().min(0).max(1023);

const xvio = z.strictObject({
  kind: z.literal('xvio'),
  /** Where virtio-forwarder listens (--zmq-port-control-ep, --zmq-stats-ep). */
  portControl: endpoint.default('ipc:///var/run/virtio-forwarder/port_control'),
  stats: endpoint.default('ipc:///var/run/virtio-forwarder/stats'),
});

const testpmd = z.strictObject({
  kind: z.literal('testpmd'),
  /** The supervisor's directory, made 0700; its socket in it is `supervisor.sock`. */
  directory: absolute.default('/run/smartnic/forwarder'),
  program: absolute.default('/usr/bin/dpdk-testpmd'),
  /** The CPU on which all relays do everything but forwarding. */
  mainCore: core.default(0),
  /** CPUs on which relays forward, each busy all the time; a relay gets the one with the fewest. */
  workerCores: z.array(core).min(1).default([1]),
  /** MiB for each relay. */
  memory: z.int().min(64).default(128),
  /** False: ordinary memory, which is slower; a VF then needs an IOMMU. */
  hugepages: z.boolean().default(true),
});

const ovsDpdk = z.strictObject({ kind: z.literal('ovs-dpdk') });

const kinds = [xvio, testpmd, ovsDpdk] as const;
const names = kinds.map(({ shape }) => shape.kind.value);

export const forwarderShape = z.discriminatedUnion('kind', kinds, { error: `is not one of ${names.join(', ')}` });

/** The keys of the section `forwarder` in that document, by the kind that it names. */
export function forwarderKeys(document: unknown): readonly string[] {
  const named = z.looseObject({ forwarder: z.looseObject({ kind: z.string() }) }).safeParse(document);
  const kind = kinds.find(({ shape }) => shape.kind.value === named.data?.forwarder.kind);
  return Object.keys(kind?.shape ?? {});
}

export type ForwarderSettings = Readonly<z.output<typeof forwarderShape>>;
export type XvioSettings = Extract<ForwarderSettings, { kind: 'xvio' }>;
export type TestpmdSettings = Extract<ForwarderSettings, { kind: 'testpmd' }>;

/** The path of the supervisor's socket. */
export function supervisorSocket({ directory }: Pick<TestpmdSettings, 'directory'>): string {
  return `${directory}/supervisor.sock`;
}

/**
 * virtio-forwarder's daemon writes addresses in upper case, and since DPDK 22.11.8 (and 25.03) names are lower case and compared byte by byte. No request avoids it.
 */
export const lettersWords =
  'The address has letters: this daemon writes them in upper case, and DPDK from 22.11.8 or 25.03 on finds no such device. ' +
  'Build the daemon with %04x:%02x:%02x.%x in place of %04X:%02X:%02X.%X, or with an older DPDK';
