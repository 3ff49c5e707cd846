// A scripted peer on a real unix socket. It does what a real ovsdb-server never does: it is silent, or sends garbage or half a reply.
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Message {
  readonly method?: string;
  readonly params?: readonly unknown[];
  readonly id?: number | string | null;
  readonly result?: unknown;
}

export interface Peer {
  send(message: unknown): void;
  write(bytes: Buffer | string): void;
  hangUp(): void;
}

/** Called for each message; true: it has seen to it. Anything else gets the usual answer: an empty replica, an echo, no result. */
export type Script = (message: Message, peer: Peer) => boolean | undefined;

export interface FakeOvsdb extends AsyncDisposable {
  readonly address: string;
  /** All messages, in order. */
  readonly seen: readonly Message[];
  readonly peers: readonly Peer[];
  /** How many connections there are now. */
  open(): number;
  script: Script;
  /** Goes away with all its connections; and comes back. */
  down(): Promise<void>;
  up(): Promise<void>;
}

export async function startFakeOvsdb(script: Script = () => undefined): Promise<FakeOvsdb> {
  const dir = await mkdtemp(join(tmpdir(), 'fake-ovsdb-'));
  const path = join(dir, 'db.sock');
  const seen: Message[] = [];
  const peers: Peer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    const write = (bytes: Buffer | string) => void socket.write(bytes);
    const peer: Peer = { write, send: (message) => write(JSON.stringify(message)), hangUp: () => socket.destroy() };
    peers.push(peer);
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      for (let message = takeMessage(); message !== undefined; message = takeMessage()) {
        seen.push(message);
        if (fake.script(message, peer) !== true) answer(message, peer);
      }
    });
    const takeMessage = (): Message | undefined => {
      const end = endOfObject(text);
      if (end === 0) return undefined;
      const message: Message = JSON.parse(text.slice(0, end));
      text = text.slice(end);
      return message;
    };
  });
  const up = () => new Promise<void>((resolve) => server.listen(path, resolve));
  const down = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  await up();
  const fake: FakeOvsdb = {
    address: `unix:${path}`,
    seen,
    peers,
    open: () => sockets.size,
    script,
    up,
    down,
    [Symbol.asyncDispose]: async () => {
      if (server.listening) await down();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return fake;
}

function answer({ method, params = [], id }: Message, peer: Peer): void {
  if (method === 'monitor_cond') peer.send({ id, result: {}, error: null });
  if (method === 'transact') peer.send({ id, result: params.slice(1).map(() => ({})), error: null });
  if (method === 'echo') peer.send({ id, result: params, error: null });
}

/** The shortest start of the text that is JSON: slow and plain, since it judges the quick one. */
function endOfObject(text: string): number {
  for (let end = text.indexOf('}') + 1; end > 0; end = text.indexOf('}', end) + 1) {
    try {
      JSON.parse(text.slice(0, end));
      return end;
    } catch {}
  }
  return 0;
}
