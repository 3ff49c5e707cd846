// A stand-in for virtio-forwarder's daemon. It speaks real ZeroMQ (Debian's libzmq), answers byte for byte what the real daemon answered, traps
// included, and moves no packets. protobufjs encodes and decodes its messages from the schema, so that it shares no code with the client under test.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { type ControlRequest, type RelayOptions, relayTable } from './fake-relays.ts';
import { libzmq, openReply } from './zmq-reply.ts';

export interface FakeForwarder extends AsyncDisposable {
  readonly portControl: string;
  readonly stats: string;
  /** Socket and PCI address as the daemon keeps it, of each relay in use. */
  pairs(): readonly (readonly [socket: string, pci: string])[];
  /** All operations that were asked for since the start, in order. */
  readonly operations: readonly string[];
  /** How the next requests of an operation go wrong; without `times`, once. */
  misbehave(op: string, how: Misbehaviour, times?: number): void;
  /** A worker that was starved reacts at last. */
  endRemovals(): void;
  /** Forgets everything: nothing is persisted. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export type Misbehaviour =
  | { readonly kind: 'code'; readonly code: number }
  /** Does it, and answers after so many milliseconds. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The consumer listens already, and its handshake comes too early: the pair never relays. */
  | { readonly kind: 'race' };

/** Milliseconds that a removal takes at least. */
const removal = 50;

export async function startFakeForwarder(options: RelayOptions = {}): Promise<FakeForwarder> {
  const dir = await mkdtemp(join(tmpdir(), 'xvio-'));
  const [portControl, stats] = [`ipc://${dir}/port_control`, `ipc://${dir}/stats`];
  const operations: string[] = [];
  const wrongs = new Map<string, Misbehaviour[]>();
  let table = relayTable(options);
  let running: AsyncDisposable[] = [];

  const control = async (bytes: Buffer): Promise<Buffer> => {
    const request = message<ControlRequest>('PortControlRequest').deserialize(bytes);
    operations.push(request.op);
    const wrong = wrongs.get(request.op)?.shift();
    const code = wrong?.kind === 'code' ? { code: wrong.code } : {};
    const response = table.control(request, { ...code, race: wrong?.kind === 'race' });
    if (request.op.startsWith('REMOVE')) await sleep(removal);
    if (wrong?.kind === 'slow') await sleep(wrong.ms);
    return message('PortControlResponse').serialize(response);
  };
  const statistics = async (bytes: Buffer): Promise<Buffer> => {
    const relay = parsed<{ readonly relay?: readonly number[] }>('StatsRequest', bytes)?.relay;
    const answer = message('StatsResponse');
    if (relay === undefined && bytes.length > 0 && parsed('StatsRequest', bytes) === undefined)
      return answer.serialize({ status: 'EBADR' });
    if ((relay?.length ?? 0) > table.count) return answer.serialize({ status: 'E2BIG' });
    return answer.serialize({ status: 'OK', relay: table.states(relay) });
  };
  const stop = async () => {
    for (const each of running) await each[Symbol.asyncDispose]();
    running = [];
    table = relayTable(options);
  };
  const start = async () => {
    // These limits on the size of a request are the daemon's.
    running = [openReply(portControl, 384, control), openReply(stats, 512, statistics)];
  };
  await start();
  return {
    portControl,
    stats,
    operations,
    pairs: () => table.pairs(),
    endRemovals: () => table.endRemovals(),
    misbehave: (op, how, times = 1) => {
      wrongs.set(
        op,
        Array.from({ length: times }, () => how),
      );
    },
    stop,
    start,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Skips a suite where libzmq is not there, saying so. */
export function skipWithoutZmq(this: Mocha.Context): void {
  if (existsSync(libzmq)) return;
  console.log(`      skipped: ${libzmq} is not installed (Debian: libzmq5)`);
  this.skip();
}

const proto = loadSync(join(import.meta.dirname, '../../proto/virtioforwarder.proto'), {
  keepCase: true,
  enums: String,
});

/** Undefined when the bytes are no such message. */
function parsed<T extends object>(name: string, bytes: Buffer): T | undefined {
  try {
    return message<T>(name).deserialize(bytes);
  } catch {
    return undefined;
  }
}

function message<T extends object = object>(name: string) {
  return proto[`virtioforwarder.${name}`] as MessageTypeDefinition<object, T>;
}
