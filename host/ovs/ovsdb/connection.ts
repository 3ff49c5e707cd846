// One connection to an OVSDB server: JSON-RPC 1.0 (RFC 7047, 4), any number of requests in flight, and a probe that notices a
// dead peer. It knows nothing about tables and does not reconnect.
import { readFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf, Unavailable } from '../../base/errors.ts';
import type { OvsdbAddress } from './address.ts';
import { messageSplitter } from './framing.ts';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export interface Connection {
  /**
   * Sends a request; `read` sees the result as soon as it arrives, before any later message. Rejects with the server's error, with
   * what `read` throws, and with Unavailable when the connection ends first or the deadline passes.
   */
  request<T>(call: Call, read: (result: Json) => T): Promise<T>;
  /** Resolves with the reason when the connection has ended. Never rejects. */
  readonly ended: Promise<Unavailable>;
  end(reason: Error): void;
}

export interface Call {
  readonly method: string;
  readonly params: readonly Json[];
  /** The request in words, for errors: `add port sn1 to br0`. */
  readonly what: string;
}

/** Paths of PEM files. They are read again for each connection, so that renewed files are used. */
export interface TlsFiles {
  readonly key?: string;
  readonly cert?: string;
  readonly ca?: string;
}

export interface ConnectOptions {
  readonly tls: TlsFiles;
  /** Milliseconds of silence after which the peer is asked for an echo. After as many again it counts as dead. */
  readonly probe: number;
  /** Milliseconds for the answer to a request. A server that answers an echo may still be too busy to answer requests. */
  readonly deadline: number;
  /** The largest message, in bytes. */
  readonly limit: number;
  readonly onNotification: (method: string, params: readonly Json[]) => void;
}

/** Connects; throws Unavailable when nobody answers within the probe time. */
export async function connect(address: OvsdbAddress, options: ConnectOptions): Promise<Connection> {
  const socket = await openSocket(address, options).catch((error: unknown) => {
    throw unavailable(address, error);
  });
  return converse(socket, address, options);
}

/** What every call throws while there is no connection: which server, what the machine said, what to look at. */
export function unavailable(address: OvsdbAddress, reason: unknown, advice = adviceOf[address.kind]): Unavailable {
  return new Unavailable(`OVSDB server ${address.text}: ${messageOf(reason)}; ${advice}`, { cause: reason });
}

const adviceOf: Readonly<Record<OvsdbAddress['kind'], string>> = {
  unix: 'is ovsdb-server running, and the directory of its socket mounted here?',
  tcp: 'is ovsdb-server listening there (ovs-vsctl set-manager ptcp:PORT)?',
  ssl: 'is ovsdb-server listening there (ovs-vsctl set-manager pssl:PORT), and do key, certificate and CA belong together?',
};

async function openSocket(address: OvsdbAddress, { tls, probe }: ConnectOptions): Promise<Socket> {
  const socket = address.kind === 'ssl' ? await tlsSocket(address, tls) : createConnection(address);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(`no connection within ${probe} ms`)), probe);
  socket.once(address.kind === 'ssl' ? 'secureConnect' : 'connect', resolve);
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('it closed the connection')));
  try {
    await promise;
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  socket.off('error', reject);
  return socket.setNoDelay(true);
}

/** When a CA is given, the certificate need not name the host: Open vSwitch's PKI names switches, and its programs check only the CA. */
async function tlsSocket({ host, port }: { readonly host: string; readonly port: number }, files: TlsFiles): Promise<Socket> {
  const read = async (path: string | undefined) => (path === undefined ? undefined : await readFile(path));
  const [key, cert, ca] = await Promise.all([read(files.key), read(files.cert), read(files.ca)]);
  const anyName = ca === undefined ? {} : { checkServerIdentity: () => undefined };
  return connectTls({ host, port, ...(key && { key }), ...(cert && { cert }), ...(ca && { ca }), ...anyName });
}

interface Waiting {
  readonly answer: (result: Json) => void;
  readonly fail: (error: Error) => void;
}

function converse(socket: Socket, address: OvsdbAddress, options: ConnectOptions): Connection {
  const { probe, deadline, limit, onNotification } = options;
  const waiting = new Map<number, Waiting>();
  const ended = Promise.withResolvers<Unavailable>();
  let lastId = 0;
  let over: Unavailable | undefined;
  let heard = performance.now();

  const end = (reason: unknown) => {
    if (over !== undefined) return;
    over = unavailable(address, reason);
    clearInterval(timer);
    socket.destroy();
    for (const { fail } of waiting.values()) fail(over);
    waiting.clear();
    ended.resolve(over);
  };

  // All messages of one turn of the event loop leave in one write.
  const send = (message: Json) => {
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    socket.write(JSON.stringify(message));
  };

  const ask = (method: string, params: readonly Json[], asked: Waiting): number => {
    const id = ++lastId;
    waiting.set(id, asked);
    send({ method, params, id });
    return id;
  };

  const request = async <T>({ method, params, what }: Call, read: (result: Json) => T): Promise<T> => {
    if (over !== undefined) throw over;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const answer = (result: Json) => {
      try {
        resolve(read(result));
      } catch (error) {
        reject(error);
      }
    };
    const id = ask(method, params, { answer, fail: reject });
    const late = setTimeout(() => {
      waiting.delete(id); // so an answer that comes later is ignored
      reject(unavailable(address, new Error(`it has not answered within ${deadline} ms: ${what}`), tooBusy));
    }, deadline);
    return await promise.finally(() => clearTimeout(late));
  };

  const receive = (text: string) => {
    const { method, params, id, result, error } = parsed(text);
    if (typeof method === 'string') {
      if (method === 'echo') send({ result: params ?? [], error: null, id: id ?? null });
      else onNotification(method, Array.isArray(params) ? params : []);
      return;
    }
    if (typeof id !== 'number') return;
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined || error === null) asked?.answer(result ?? null);
    else asked?.fail(new Error(`ovsdb: ${typeof error === 'string' ? error : JSON.stringify(error)}`));
  };

  // A peer is dead when it leaves an echo unanswered. Silence alone proves nothing, because our own process may have been paused.
  let asked: number | undefined;
  const timer = setInterval(() => {
    const now = performance.now();
    if (now - heard < probe) return;
    if (asked === undefined) {
      asked = now;
      const answered = () => {
        asked = undefined;
      };
      ask('echo', [], { answer: answered, fail: answered });
    } else if (now - asked >= probe) {
      end(new Error(`it has said nothing for ${Math.round(now - heard)} ms and does not answer an echo`));
    }
  }, probe / 4);

  const split = messageSplitter(limit);
  socket.on('data', (chunk: Buffer) => {
    heard = performance.now();
    try {
      for (const text of split(chunk)) receive(text);
    } catch (error) {
      end(error);
    }
  });
  socket.on('error', end);
  socket.on('close', () => end(new Error('it closed the connection')));
  if (socket.destroyed) end(new Error('it closed the connection'));
  return { request, ended: ended.promise, end };
}

const tooBusy =
  'it may or may not have done it; is ovsdb-server too busy, or its disk full or slow (ovs-appctl -t ovsdb-server memory/show, and its log)?';

function parsed(text: string): { readonly [key: string]: Json } {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`it sent something that is not JSON: ${text.slice(0, 80)}`, { cause });
  }
}
