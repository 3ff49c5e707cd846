// The forwarder `xvio`: virtio-forwarder's daemon, by its ZeroMQ port control and statistics. It forgets everything when it restarts.

import { messageOf, Unavailable } from '../../base/errors.ts';
import { checkSocketPath } from '../../files/unix-socket.ts';
import type { Attached, Forwarder, Pair, PairName } from '../forwarder.ts';
import type { XvioSettings } from '../settings.ts';
import type { PortControlRequest, PortControlResponse, Relay } from './messages.ts';
import { decodePortControl, decodeStats, encodePortControl, encodeStats } from './messages.ts';
import { refusal } from './refusals.ts';
import { ask, NotListening } from './zmq-request.ts';

/** Milliseconds. Removing waits twice for up to 20 rounds of 50 ms and then for the device; the daemon does one thing at a time. */
const defaultPatience = { portControl: 15_000, stats: 5000 };

export function openXvio(settings: Pick<XvioSettings, 'portControl' | 'stats'>, patience = defaultPatience): Forwarder {
  const relays = async (): Promise<readonly Relay[]> =>
    await asked('statistics', settings.stats, encodeStats(), patience.stats, decodeStats);
  const control = async (request: PortControlRequest): Promise<PortControlResponse> =>
    await asked(request.op, settings.portControl, encodePortControl(request), patience.portControl, decodePortControl);
  const attached = async (): Promise<readonly Attached[]> =>
    (await relays()).flatMap(({ device, socket, status }) => (device && socket ? [{ device, socket, status }] : []));
  return {
    attach: (pair) => attach({ relays, control }, pair),
    detach: (pair) => detach({ relays, control }, pair),
    attached,
    health: async () => await attached().then(() => undefined, messageOf),
    async [Symbol.asyncDispose]() {},
  };
}

interface Daemon {
  relays(): Promise<readonly Relay[]>;
  control(request: PortControlRequest): Promise<PortControlResponse>;
}

/** ADD_SOCK is not idempotent, and its own check may overlook a VF that is attached. So we look first. */
async function attach(daemon: Daemon, pair: Pair): Promise<void> {
  checkSocketPath(pair.socket);
  const device = pair.device.toLowerCase();
  for (const relay of await daemon.relays()) {
    if (relay.device === device && relay.socket === pair.socket) return;
    if (relay.device !== device && relay.socket !== pair.socket) continue;
    if (relay.device !== undefined && relay.socket !== undefined) throw taken(relay, pair);
    await clear(daemon, relay);
  }
  const request = { op: 'ADD_SOCK', device, socket: pair.socket } as const;
  const response = await answered(daemon.control(request));
  if (response?.ok || (await has(daemon, pair))) return;
  throw response === undefined
    ? new Unavailable(
        `virtio-forwarder did not answer ADD_SOCK of ${pair.device} and ${pair.socket} in time, and has not done it`,
      )
    : refusal(request, response);
}

async function detach(daemon: Daemon, { device, socket }: PairName): Promise<void> {
  const relays = await daemon.relays().catch((error: unknown) => {
    // Its relays end with it.
    if (error instanceof NotListening) return [];
    throw error;
  });
  for (const relay of relays.filter((each) => each.device === device.toLowerCase())) await clear(daemon, relay);
  for (const relay of relays.filter((each) => each.device === undefined && each.socket === socket)) await clear(daemon, relay);
}

/** Removes from a relay what it has. */
async function clear(daemon: Daemon, { relay, device, socket }: Relay): Promise<void> {
  const pci = device === undefined ? {} : { device };
  // Without its socket (what a REMOVE_SOCK leaves that failed with 3) a relay can only be named by its number: the daemon would look
  // for the socket's path and find no string.
  const request: PortControlRequest =
    socket === undefined ? { op: 'REMOVE', relay, ...pci } : { op: 'REMOVE_SOCK', socket, ...pci };
  const response = await answered(daemon.control(request));
  if (response?.ok || isGone(request, response)) return;
  const left = (await daemon.relays()).find((each) => each.relay === relay);
  if (left === undefined || (left.device !== device && left.socket !== socket)) return;
  if (socket !== undefined && left.socket === undefined) return await clear(daemon, left);
  throw response === undefined
    ? new Unavailable(`virtio-forwarder did not answer ${request.op} of ${device ?? socket} in time, and has not done it`)
    : refusal(request, response);
}

function isGone({ op }: PortControlRequest, response: PortControlResponse | undefined): boolean {
  return (op === 'REMOVE_SOCK' && response?.code === 1) || (op === 'REMOVE' && response?.code === 4);
}

/** Its port control does one thing after the other, so this also waits for an ADD_SOCK that was not answered in time. */
async function has(daemon: Daemon, { device, socket }: PairName): Promise<boolean> {
  const { ok, answer } = await daemon.control({ op: 'QUERY_PCI', socket });
  return ok && answer?.toLowerCase() === device.toLowerCase();
}

/** Undefined when no answer came, and the request may have been carried out. */
async function answered(attempt: Promise<PortControlResponse>): Promise<PortControlResponse | undefined> {
  return await attempt.catch((error: unknown) => {
    if (error instanceof Unavailable && !(error instanceof NotListening)) return undefined;
    throw error;
  });
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
