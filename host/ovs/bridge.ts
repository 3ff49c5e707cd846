// Creates, finds and removes bridges and ports of Open vSwitch. It writes only the rows that are asked for, and no flows and no controllers.
import { messageOf, Unavailable } from '../base/errors.ts';
import { TransactionError } from './ovsdb/operations.ts';
import type { Row } from './ovsdb/schema.ts';
import type { Ovsdb, Replica } from './ovsdb.ts';
import {
  addPortOperations,
  addPortRefusal,
  changeIdsOperations,
  createBridgeOperations,
  type IdChange,
  type NewPort,
  nextConfig,
  nextConfigOperations,
  removeBridgeOperations,
  removePortsOperations,
} from './transactions.ts';

export type { IdChange, NewPort } from './transactions.ts';

export interface Bridge {
  readonly name: string;
  /** `system` (kernel) or `netdev` (userspace). */
  readonly datapathType: string;
}

export interface BridgePort {
  readonly bridge: string;
  readonly name: string;
  /** The interface's external_ids. */
  readonly externalIds: Readonly<Record<string, string>>;
  /** Absent: ovs-vswitchd has not looked at the port yet. -1: it could not take the port. */
  readonly ofport?: number;
  /** The error in ovs-vswitchd's words. */
  readonly error?: string;
  readonly vlan?: number;
  readonly trunk: readonly number[];
  readonly vlanMode?: string;
}

export interface CreateBridgeOptions {
  /** Default: `system`. */
  readonly datapathType?: string;
  readonly timeoutMs?: number;
}

/** Milliseconds in which ovs-vswitchd must take a port. Among 1000 ports it needs about 120 (docs/performance.md). */
const patience = 10_000;

export async function findBridge(db: Ovsdb, name: string): Promise<Bridge | undefined> {
  const replica = await db.replica();
  const row = replica.bridge(name);
  if (row === undefined) return undefined;
  return { name, datapathType: row.datapath_type || 'system' };
}

/**
 * Creates a bridge and waits for its local port. When that port does not come, the bridge is removed again. A bridge that somebody else
 * creates at the same time serves as well. Throws when a port has that name already, and Unavailable like addPort.
 */
export async function createBridge(db: Ovsdb, name: string, options: CreateBridgeOptions = {}): Promise<void> {
  const { datapathType = '', timeoutMs = patience } = options;
  const what = `the local port of bridge ${name}`;
  try {
    await db.transact(createBridgeOperations(name, datapathType));
  } catch (error) {
    if (!(error instanceof TransactionError)) throw error;
    if (error.operation > 0) throw new Error(`bridge ${name}: Open vSwitch has a port of that name`, { cause: error });
    await ofportOf(db, name, what, timeoutMs);
    return;
  }
  await orRemove(ofportOf(db, name, what, timeoutMs), async () => {
    const bridge = (await db.replica()).bridge(name);
    if (bridge !== undefined) await db.transact(removeBridgeOperations(bridge.uuid, name));
  });
}

/**
 * Adds a port and waits until ovs-vswitchd has taken it. When it has not, the port is removed again. Throws ovs-vswitchd's own words (no such
 * device). Also throws when the bridge is missing or the name is taken, and Unavailable when ovsdb-server or ovs-vswitchd does not answer
 * within `timeoutMs` (default 10 000).
 */
export async function addPort(db: Ovsdb, port: NewPort & { readonly timeoutMs?: number }): Promise<{ readonly ofport: number }> {
  await putBackPort(db, port);
  const taken = ofportOf(db, port.name, wordsOf(port), port.timeoutMs ?? patience);
  return { ofport: await orRemove(taken, async () => removePorts(db, [port.name])) };
}

/** Adds a port that was there before. It does not wait for ovs-vswitchd, and so the port stays also when that can't take it now. Throws like addPort. */
export async function putBackPort(db: Ovsdb, port: NewPort): Promise<void> {
  try {
    await db.transact(addPortOperations(port));
  } catch (error) {
    const refusal = error instanceof TransactionError ? addPortRefusal(port, error.operation) : undefined;
    throw refusal === undefined ? error : new Error(`${wordsOf(port)}: ${refusal}`, { cause: error });
  }
}

function wordsOf({ name, bridge }: NewPort): string {
  return `port ${name} of bridge ${bridge}`;
}

/** The ports with an interface whose external_ids contain all the given pairs. */
export async function findPorts(db: Ovsdb, match: Readonly<Record<string, string>>): Promise<readonly BridgePort[]> {
  const replica = await db.replica();
  const pairs = Object.entries(match);
  const [key, value] = pairs[0] ?? [];
  const found: BridgePort[] = [];
  for (const row of replica.interfaces()) {
    // Most rows end here. A sweep looks through a thousand rows a thousand times.
    if (key !== undefined && row.external_ids.get(key) !== value) continue;
    if (!pairs.every(([key, value]) => row.external_ids.get(key) === value)) continue;
    const port = replica.portOf(row);
    const bridge = port && replica.bridgeOf(port);
    if (port && bridge) found.push(bridgePort(bridge, port, row));
  }
  return found;
}

/** Removes ports from their bridges in one transaction and does not wait for ovs-vswitchd. Resolves with the names that were there. */
export async function removePorts(db: Ovsdb, names: readonly string[]): Promise<readonly string[]> {
  const replica = await db.replica();
  const there = [...new Set(names)].filter((name) => replica.port(name) !== undefined);
  if (there.length === 0) return [];
  await db.transact(removePortsOperations(portsByBridge(replica, there), there));
  return there;
}

/** Changes external_ids of interfaces. @returns false when `unless` held and nothing was changed. */
export async function changeIds(db: Ovsdb, change: IdChange): Promise<boolean> {
  const comment = `smartnic: change external_ids of interfaces with ${JSON.stringify(change.where)}`;
  try {
    await db.transact([...changeIdsOperations(change), { op: 'comment', comment }]);
    return true;
  } catch (error) {
    if (change.unless !== undefined && error instanceof TransactionError && error.operation === 0) return false;
    throw error;
  }
}

/**
 * Whether ovs-vswitchd serves this database. Like ovs-vsctl, it asks ovs-vswitchd to take over a configuration number. For that ovs-vswitchd
 * looks at its whole configuration, so ask every few seconds at most. (Asking for the lock `ovs_vswitchd` would be cheaper. But whoever asks
 * while ovs-vswitchd starts gets the lock, and ovs-vswitchd then holds back its bridges.) Unavailable when the database does not answer.
 */
export async function vswitchdRunning(db: Ovsdb, options: { readonly timeoutMs?: number } = {}): Promise<boolean> {
  const [, selected] = await db.transact(nextConfigOperations());
  const wanted = nextConfig(selected);
  const reached = (replica: Replica) => ((replica.openVSwitch()?.cur_cfg ?? 0) >= wanted ? true : undefined);
  try {
    return await db.until(reached, { timeout: options.timeoutMs ?? 2000, what: 'an answer of ovs-vswitchd' });
  } catch (error) {
    if (error instanceof Unavailable) return false;
    throw error;
  }
}

/** Waits until ovs-vswitchd has taken or refused the interface `name`. */
async function ofportOf(db: Ovsdb, name: string, what: string, timeout: number): Promise<number> {
  const look = (replica: Replica) => {
    const row = replica.interface(name);
    if (row === undefined) throw new Error(`${what} was removed by somebody else before ovs-vswitchd took it`);
    if (row.error !== undefined) throw new Error(`Open vSwitch did not take ${what}: ${row.error}`);
    if (row.ofport === -1) throw new Error(`Open vSwitch did not take ${what}: ofport -1 without a reason; see ovs-vswitchd.log`);
    return row.ofport;
  };
  return await db.until(look, {
    timeout,
    what: `ovs-vswitchd does not answer: ${what} has no ofport; is it running, and the bridge's datapath available (ovs-vswitchd.log)?`,
  });
}

/** Resolves with the attempt's value. When it fails, calls `remove` and throws its error; when `remove` fails too, the error names both. */
async function orRemove<T>(attempt: Promise<T>, remove: () => Promise<unknown>): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    const left = await remove().then(
      () => undefined,
      (second: unknown) => `${messageOf(error)}; and it could not be removed again: ${messageOf(second)}`,
    );
    if (left === undefined) throw error;
    throw error instanceof Unavailable ? new Unavailable(left, { cause: error }) : new Error(left, { cause: error });
  }
}

function portsByBridge(replica: Replica, names: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const ports = new Map<string, string[]>();
  for (const name of names) {
    const port = replica.port(name);
    const bridge = port && replica.bridgeOf(port);
    if (port && bridge) ports.set(bridge.uuid, [...(ports.get(bridge.uuid) ?? []), port.uuid]);
  }
  return ports;
}

function bridgePort(bridge: Row<'Bridge'>, port: Row<'Port'>, { external_ids, ofport, error }: Row<'Interface'>): BridgePort {
  return {
    bridge: bridge.name,
    name: port.name,
    externalIds: Object.fromEntries(external_ids),
    trunk: [...port.trunks].toSorted((a, b) => a - b),
    ...(ofport === undefined ? {} : { ofport }),
    ...(error === undefined ? {} : { error }),
    ...(port.tag === undefined ? {} : { vlan: port.tag }),
    ...(port.vlan_mode === undefined ? {} : { vlanMode: port.vlan_mode }),
  };
}
