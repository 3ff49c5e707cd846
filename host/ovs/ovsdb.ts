// The database of Open vSwitch: transactions and a replica over one connection that reconnects by itself. It starts no program.
// bridge.ts knows the rows of a bridge or a port.

import { backOff } from '../base/back-off.ts';
import { Unavailable } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { parseOvsdbAddress } from './ovsdb/address.ts';
import { type Connection, connect, type Json, type TlsFiles, unavailable } from './ovsdb/connection.ts';
import { describe, type Operation, readResults } from './ovsdb/operations.ts';
import { emptyReplica, type Replica } from './ovsdb/replica.ts';
import { monitorRequests, tellsOfBridge } from './ovsdb/schema.ts';
import { waitersOn } from './ovsdb/waiters.ts';

export { parseOvsdbAddress } from './ovsdb/address.ts';
export type { TlsFiles } from './ovsdb/connection.ts';
export type { Replica } from './ovsdb/replica.ts';

export interface Ovsdb extends AsyncDisposable {
  readonly address: string;
  /** Why there is no connection now. Undefined while there is one. */
  readonly problem: string | undefined;
  /**
   * Does one transaction on the database Open_vSwitch, completely or not at all, and resolves with one result per operation. By then the replica
   * has its changes. Throws TransactionError when the server refuses. Throws Unavailable when there is no connection or no answer in time, or when
   * the connection breaks before the answer. In the last two cases the transaction may have been done.
   */
  transact(operations: readonly Operation[]): Promise<readonly Json[]>;
  /** Resolves with the replica as soon as it is complete. Throws Unavailable when there is no connection in time. */
  replica(): Promise<Replica>;
  /**
   * Waits until `look` finds something in the replica, now or after a change, and also across reconnects. It throws what `look` throws. After
   * `timeout` milliseconds it throws Unavailable, naming `what` it waited for.
   */
  until<T>(look: (replica: Replica) => T | undefined, options: { readonly timeout: number; readonly what: string }): Promise<T>;
  /** Calls back after each connect, when the replica is complete, and once if it is complete already. Returns a function that ends this. */
  onConnect(callback: () => void): () => void;
  /** Calls back when a bridge was made, or got another datapath, while we are connected. Returns a function that ends this. */
  onBridge(callback: () => void): () => void;
}

export interface OvsdbOptions {
  readonly log: Logger;
  readonly tls?: TlsFiles;
  /** Milliseconds that a call waits for a connection. Default 3000. */
  readonly patience?: number;
  /** Milliseconds of silence after which the server is asked for an echo. After as many again it counts as dead. Default 10 000. */
  readonly probe?: number;
  /** Milliseconds for an answer. Default 10 000. ovsdb-server needs 50 for a complete copy of 1000 ports. */
  readonly deadline?: number;
  /**
   * Bytes of one message. Default 4 MiB: a copy of 6000 of our ports, or of 20 000 others. As records they take eight times as much memory, and
   * the server's heap ends at 64 MiB (tools/bundle.mjs).
   */
  readonly limit?: number;
  /** With an owner, the replica holds only the interfaces whose external_ids name it, and those whose devices Open vSwitch creates itself. */
  readonly owner?: string;
}

interface Live {
  readonly connection: Connection;
  readonly replica: Replica;
}

/** Opens the connection when it is first needed. Throws when the text is no address. */
export function openOvsdb(text: string, options: OvsdbOptions): Ovsdb {
  const { log, tls = {}, patience = 3000, probe = 10_000, deadline = 10_000, limit = 4 * 1024 * 1024 } = options;
  const address = parseOvsdbAddress(text);
  const closing = unavailable(address, 'the connection was closed by us');
  const callbacks = new Set<() => void>();
  const onBridges = new Set<() => void>();
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
      const updates = params[1] ?? null;
      replica.apply(updates);
      waiters.recheck();
      if (tellsOfBridge(updates)) for (const callback of onBridges) queueMicrotask(callback);
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
    onBridge: (callback) => {
      onBridges.add(callback);
      return () => onBridges.delete(callback);
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
