// The forwarder `xvio`: virtio-forwarder's daemon, by its ZeroMQ port control and statistics. It forgets everything when it restarts.

import { messageOf, Unavailable } from '../../base/errors.ts';
import { checkSocketPath } from '../../files/unix-socket.ts';
import type { Attached, Forwarder, Pair, PairName } from '../forwarder.ts';
import type { XvioSettings } from '../settings.ts';
import { type Memory, openMemory } from './memory.ts';
import type { PortControlRequest, PortControlResponse, Relay } from './messages.ts';
import { decodePortControl, decodeStats, encodePortControl, encodeStats } from './messages.ts';
import { isNotReleased, refusal } from './refusals.ts';
import { ask, NotListening, pathOf } from './zmq-request.ts';

/**
 * Milliseconds. Removing waits twice for up to 20 rounds of 50 ms and then for the device; the daemon does one thing at a time. When it ends, it closes
 * its sockets first and then takes 50 ms for each VF, `ending` for all of them.
 */
const defaultPatience = { portControl: 15_000, stats: 5000, ending: 5000 };

export function openXvio(settings: Pick<XvioSettings, 'portControl' | 'stats'>, patience = defaultPatience): Forwarder {
  const memory = openMemory(pathOf(settings.portControl), patience.ending);
  const relays = async (): Promise<readonly Relay[]> => {
    const answer = asked('statistics', settings.stats, encodeStats(), patience.stats, decodeStats);
    return await memory.hearing(answer);
  };
  const control = async (request: PortControlRequest): Promise<PortControlResponse> => {
    const answer = asked(request.op, settings.portControl, encodePortControl(request), patience.portControl, decodePortControl);
    return await memory.awaiting(request, answer);
  };
  const attached = async (): Promise<readonly Attached[]> =>
    (await relays()).flatMap(({ device, socket, status }) =>
      device && socket
        ? [{ device, socket, status, ...(status.endsWith('VIRTIO_UNINIT') && { unconnected: true as const }) }]
        : [],
    );
  return {
    attach: (pair) => attach({ relays, control, memory }, pair),
    detach: (pair) => detach({ relays, control, memory }, pair),
    attached,
    health: async () => await attached().then(() => undefined, messageOf),
    async [Symbol.asyncDispose]() {},
  };
}

interface Daemon {
  /** Those that have something, or may have. */
  relays(): Promise<readonly Relay[]>;
  control(request: PortControlRequest): Promise<PortControlResponse>;
  readonly memory: Memory;
}

/** ADD_SOCK is not idempotent, and its own check may overlook a VF that is attached. So we look first. */
async function attach(daemon: Daemon, pair: Pair): Promise<void> {
  checkSocketPath(pair.socket);
  const device = pair.device.toLowerCase();
  daemon.memory.requireSettled(device);
  for (const relay of await daemon.relays()) {
    if (relay.device === device && relay.socket === pair.socket) return;
    if (relay.device !== device && relay.socket !== pair.socket) continue;
    if (relay.device !== undefined && relay.socket !== undefined) throw taken(relay, pair);
    await clear(daemon, relay);
  }
  const request = { op: 'ADD_SOCK', device, socket: pair.socket } as const;
  const response = await daemon.control(request);
  if (response.ok) return daemon.memory.attached(device);
  const has = (await daemon.relays()).find((relay) => relay.device === device);
  if (has?.socket === pair.socket) return;
  throw response.code === exists && has === undefined ? heldStill(pair) : refusal(request, response);
}

/** EEXIST */
const exists = -17;

async function detach(daemon: Daemon, { device: name, socket }: PairName): Promise<void> {
  const device = name.toLowerCase();
  daemon.memory.requireSettled(device);
  const relays = await daemon.relays().catch((error: unknown) => {
    // Its relays end with it, but later than its sockets.
    if (error instanceof NotListening && daemon.memory.hasEnded()) return [];
    throw error;
  });
  const having = relays.filter((each) => each.device === device);
  for (const relay of having) await clear(daemon, relay);
  for (const relay of relays.filter((each) => each.device === undefined && each.socket === socket)) await clear(daemon, relay);
  if (having.length > 0 || daemon.memory.hasReleased(device)) return;
  // What such a relay has, it does not say.
  const busy = relays.find((each) => each.device === undefined && each.socket === undefined);
  if (busy !== undefined)
    throw new Unavailable(
      `virtio-forwarder's relay ${busy.relay} (${busy.status}) is still letting go of a VF, perhaps of ${device}; if it stays so, restart the daemon`,
    );
}

/** Removes from a relay what it has. */
async function clear(daemon: Daemon, { relay, device, socket }: Relay): Promise<void> {
  const pci = device === undefined ? {} : { device };
  // Without its socket (what a REMOVE_SOCK leaves that failed with 3) a relay can only be named by its number: the daemon would look
  // for the socket's path and find no string.
  const request: PortControlRequest =
    socket === undefined ? { op: 'REMOVE', relay, ...pci } : { op: 'REMOVE_SOCK', socket, ...pci };
  const response = await daemon.control(request);
  if (response.ok || isGone(request, response)) return device === undefined ? undefined : daemon.memory.released(device);
  if (device !== undefined && isNotReleased(request, response)) {
    const error = refusal(request, response);
    daemon.memory.leaked(device, error);
    throw error;
  }
  const left = (await daemon.relays()).find((each) => each.relay === relay);
  if (socket !== undefined && left !== undefined && left.device === device && left.socket === undefined)
    return await clear(daemon, left);
  throw refusal(request, response);
}

function isGone({ op }: PortControlRequest, { code }: PortControlResponse): boolean {
  return (op === 'REMOVE_SOCK' && code === 1) || (op === 'REMOVE' && code === 4);
}

async function asked<T>(what: string, endpoint: string, body: Buffer, timeout: number, decode: (bytes: Buffer) => T): Promise<T> {
  const bytes = await ask({ endpoint, body, timeout, what });
  try {
    return decode(bytes);
  } catch (error) {
    throw new Error(`virtio-forwarder's answer to ${what} at ${endpoint} is not understood: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function taken({ relay, device, socket }: Relay, pair: PairName): Error {
  return new Error(
    `virtio-forwarder can't attach ${pair.device} to ${pair.socket}: its relay ${relay} has ${device} at ${socket}; is that another pod's? ` +
      `If nobody's, remove it: virtioforwarder_port_control.py remove_sock --pci-addr=${device} --vhost-path=${socket}`,
  );
}

function heldStill({ device, socket }: PairName): Error {
  return new Error(
    `virtio-forwarder can't attach ${device} to ${socket}: it holds the VF still, and none of its relays has it, because an earlier removal ` +
      'did not end; restart the daemon, and all pairs are attached again',
  );
}
