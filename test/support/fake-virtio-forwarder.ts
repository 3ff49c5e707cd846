// A stand-in for virtio-forwarder's daemon. It speaks real ZeroMQ (Debian's libzmq), behaves as documented, traps included, and moves no
// packets. protobufjs encodes and decodes its messages from the schema, so that it shares no code with the client under test.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { type Pci, relayTable } from './fake-relays.ts';
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
  /** Forgets everything: nothing is persisted. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export type Misbehaviour =
  | { readonly kind: 'code'; readonly code: number }
  /** Does it, and answers after so many milliseconds. */
  | { readonly kind: 'slow'; readonly ms: number };

export interface FakeForwarderOptions {
  /** Default 64. */
  readonly relays?: number;
  /** PCI addresses that can't be probed. */
  readonly broken?: readonly string[];
}

interface ControlRequest {
  readonly op: string;
  readonly pci_addrs: readonly Pci[];
  readonly virtio_id: number;
  readonly vhost_path: string;
}

export async function startFakeForwarder(options: FakeForwarderOptions = {}): Promise<FakeForwarder> {
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
    const response = table.control(request, wrong?.kind === 'code' ? wrong.code : undefined);
    if (wrong?.kind === 'slow') await sleep(wrong.ms);
    return message('PortControlResponse').serialize(response);
  };
  const statistics = async (bytes: Buffer): Promise<Buffer> => {
    message('StatsRequest').deserialize(bytes);
    return message('StatsResponse').serialize({ status: 'OK', relay: table.states() });
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
  defaults: true,
});

function message<T extends object = object>(name: string) {
  return proto[`virtioforwarder.${name}`] as MessageTypeDefinition<object, T>;
}
