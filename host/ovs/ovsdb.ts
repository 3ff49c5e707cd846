// The database of Open vSwitch: transactions and a replica over one connection that comes back by itself. It starts no program.
// What a bridge or a port is made of is in bridge.ts.

import { backOff } from '../base/back-off.ts';
import { Unavailable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { parseOvsdbAddress } from './ovsdb/address.ts';
import { type Connection, connect, type Json, type TlsFiles, unavailable } from './ovsdb/connection.ts';
import { describe, type Operation, readResults } from './ovsdb/operations.ts';
import { emptyReplica, type Replica } from './ovsdb/replica.ts';
import { monitorRequests } from './ovsdb/schema.ts';
import { waitersOn } from './ovsdb/waiters.ts';

export { parseOvsdbAddress } from './ovsdb/address.ts';
export type { TlsFiles } from './ovsdb/connection.ts';
export type { Replica } from './ovsdb/replica.ts';

export interface Ovsdb extends AsyncDisposable {
  readonly address: string;
  /** Why there is no connection now; undefined: there is one. */
  readonly problem: string | undefined;
  /**
   * One transaction on the database Open_vSwitch: all of it or nothing; a result per operation. Its changes are in the replica when
   * it resolves. Throws TransactionError (refused), or Unavailable: not connected in time, or not answered in time, or the connection
   * broke with the answer outstanding, and then it may or may not have been done.
   */
  transact(operations: readonly Operation[]): Promise<readonly Json[]>;
  /** The replica, as soon as it is complete. Unavailable when not connected in time. */
  replica(): Promise<Replica>;
  /**
   * Waits until `look` finds something in the replica, now or after a change, also across reconnects. What `look` throws is thrown.
   * Unavailable, saying `what` was waited for, after `timeout` milliseconds.
   */
  until<T>(look: (replica: Replica) => T | undefined, options: { readonly timeout: number; readonly what: string }): Promise<T>;
  /** Calls back after each connect, when the replica is complete, also if that is already so; the result takes the wish back. */
  onConnect(callback: () => void): () => void;
}

export interface OvsdbOptions {
  readonly log: Logger;
  readonly tls?: TlsFiles;
  /** Milliseconds that a call waits for a connection. Default 3000. */
  readonly patience?: number;
  /** Milliseconds of silence before the server is asked for an echo; after twice that it is dead. Default 10 000. */
  readonly probe?: number;
  /** Milliseconds for an answer. Default 10 000; ovsdb-server needs 50 for a whole copy of 1000 ports. */
  readonly deadline?: number;
  /**
   * Bytes of one message. Default 4 MiB: the copy of 6000 ports of ours, or of 20 000 of others. Read into records it takes eight times as
   * much, and the server's heap ends at 64 MiB (tools/bundle.mjs).
   */
  readonly limit?: number;
  /** Interfaces whose external_ids name another owner, or none, stay out of the replica, but for those that Open vSwitch makes itself. */
  readonly owner?: string;
}

interface Live {
  readonly connection: Connection;
  readonly replica: Replica;
}

/** A connection that is made when first needed. Throws on an address that is none. */
export function openOvsdb(text: string, options: OvsdbOptions): Ovsdb {
  const { log, tls = {}, patience = 3000, probe = 10_000, deadline = 10_000, limit = 4 * 1024 * 1024 } = options;
  const address = parseOvsdbAddress(text);
  const closing = unavailable(address, 'the connection was closed by us');
  const callbacks = new Set<() => void>();
  const attempts = backOff();
  let live: Live | undefined;
  const waiters = waitersOn(() => live);
  let connection: Connection | undefined;
  let keeping = false;
  let closed = false;
  let lastReason = unavailable(address, 'no connection yet');

  const wait = <T>(look: (now: Live) => T | undefined, timeout: number, late: () => Error): Promise<T> => {
    if (closed) return Promise.reject(closing);
    start();
    attempts.hurry();
    return waiters.wait(look, timeout, () => (live === undefined ? lastReason : late()));
  };
  const connected = () =>
    wait(
      (now) => now,
      patience,
      () => lastReason,
    );

  const start = () => {
    if (keeping) return;
    keeping = true;
    void keepConnected();
  };

  const keepConnected = async () => {
    while (!closed) {
      try {
        const { ended } = await connectOnce();
        attempts.reset();
        lastReason = await ended;
        if (!closed) log.warn({ ovsdb: text }, `lost the connection: ${lastReason.message}`);
      } catch (error) {
        lastReason = error instanceof Unavailable ? error : unavailable(address, error);
        log.debug({ ovsdb: text }, lastReason.message);
      }
      live = undefined;
      if (!closed) await attempts.pause();
    }
  };

  const connectOnce = async (): Promise<Connection> => {
    const replica = emptyReplica();
    const onNotification = (method: string, params: readonly Json[]) => {
      if (method === 'monitor_canceled') opened.end(new Error('it cancelled the monitor: its schema is being changed'));
      if (method !== 'update2') return;
      replica.apply(params[1] ?? null);
      waiters.recheck();
    };
    const opened = await connect(address, { tls, probe, deadline, limit, onNotification });
    connection = opened;
    if (closed) opened.end(new Error('closed by us'));
    try {
      const params = ['Open_vSwitch', 'replica', monitorRequests(options.owner)];
      await opened.request({ method: 'monitor_cond', params, what: 'the copy of its tables' }, replica.apply);
    } catch (error) {
      opened.end(new Error('it gives no replica'));
      throw error;
    }
    live = { connection: opened, replica };
    log.info({ ovsdb: text }, 'connected');
    waiters.recheck();
    for (const callback of callbacks) queueMicrotask(callback);
    return opened;
  };

  return {
    address: text,
    get problem() {
      return live === undefined ? lastReason.message : undefined;
    },
    transact: async (operations) => {
      const now = await connected();
      const call = { method: 'transact', params: ['Open_vSwitch', ...operations], what: describe(operations) };
      return await now.connection.request(call, (reply) => readResults(operations, reply));
    },
    replica: async () => (await connected()).replica,
    until: (look, { timeout, what }) =>
      wait(
        (now) => look(now.replica),
        timeout,
        () => new Unavailable(`${what}: not within ${timeout} ms (OVSDB server ${text})`),
      ),
    onConnect: (callback) => {
      callbacks.add(callback);
      start();
      if (live !== undefined) queueMicrotask(callback);
      return () => callbacks.delete(callback);
    },
    [Symbol.asyncDispose]: async () => {
      closed = true;
      live = undefined;
      waiters.fail(closing);
      connection?.end(new Error('closed by us'));
      attempts.hurry();
    },
  };
}
