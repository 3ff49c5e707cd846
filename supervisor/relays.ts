// All relays of the node: attach, detach, and what was attached when we ended. Each has a file with its pair and its process, so that
// the next supervisor takes it over instead of starting it twice.
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Logger } from '../host/base/log.ts';
import type { Attached, Pair, PairName } from '../host/forwarder/forwarder.ts';
import { makeLock } from '../host/forwarder/lock.ts';
import { pairShape } from '../host/forwarder/relay-protocol.ts';
import type { TestpmdSettings } from '../host/forwarder/settings.ts';
import { readText } from '../host/kernel/sysfs.ts';
import { relayArguments, vhostDevice } from './command-line.ts';
import { findProcess, isRunning } from './processes.ts';
import { type Relay, superviseRelay } from './relay.ts';

export interface Relays {
  /** Resolves when it forwards. Throws testpmd's words; then it is not kept. */
  attach(pair: Pair): Promise<void>;
  detach(pair: PairName): Promise<void>;
  attached(): readonly Attached[];
}

export interface RelaysOptions {
  readonly settings: Omit<TestpmdSettings, 'kind'>;
  readonly log: Logger;
  /** /proc/sys/kernel/random/boot_id: what ran before this boot is not started again. */
  readonly bootId: string;
}

const recordShape = z.strictObject({
  bootId: z.string(),
  pair: pairShape,
  worker: z.int(),
  process: z.strictObject({ pid: z.int().positive(), started: z.int(), ready: z.boolean() }).optional(),
});
type Record = z.output<typeof recordShape>;

export function openRelays({ settings, log, bootId }: RelaysOptions): Relays {
  const directory = join(settings.directory, 'relays');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const recordFile = (device: string) => join(directory, `${device}.json`);
  const logFile = (device: string) => join(directory, `${device}.log`);
  const relays = new Map<string, Relay>();
  const lock = makeLock();

  const supervise = (record: Record) => {
    const { pair, worker } = record;
    const relay = superviseRelay({
      ...{ pair, worker, log, program: settings.program },
      args: relayArguments(pair, settings, worker),
      logFile: logFile(pair.device),
      found: findRunning(record),
      note: (process) => write(recordFile(pair.device), { ...record, process }),
    });
    relays.set(pair.device, relay);
    return relay;
  };
  const end = async (relay: Relay) => {
    await relay.stop();
    relays.delete(relay.pair.device);
    rmSync(recordFile(relay.pair.device), { force: true });
    rmSync(logFile(relay.pair.device), { force: true });
  };

  for (const record of readRecords(directory, bootId)) supervise(record);
  return {
    attach: (pair) =>
      lock(pair.device, async () => {
        const known = relays.get(pair.device);
        if (known !== undefined && !isSame(known.pair, pair)) throw taken(known.pair, pair);
        if (known !== undefined) return await known.ready();
        const record = { bootId, pair, worker: idlest(settings.workerCores, [...relays.values()]) };
        // Before the process: whoever comes after us knows of it.
        write(recordFile(pair.device), record);
        const relay = supervise(record);
        await relay.ready().catch(async (error: unknown) => {
          await end(relay);
          throw error;
        });
      }),
    detach: ({ device }) =>
      lock(device, async () => {
        const relay = relays.get(device);
        if (relay !== undefined) await end(relay);
      }),
    attached: () => [...relays.values()].map(({ pair: { device, socket }, status }) => ({ device, socket, status })),
  };
}

/** What is no record, or of another boot, is removed. */
function readRecords(directory: string, bootId: string): readonly Record[] {
  return readdirSync(directory).flatMap((name) => {
    if (name.endsWith('.log')) return [];
    const parsed = recordShape.safeParse(parseJson(readText(join(directory, name)) ?? ''));
    if (parsed.success && parsed.data.bootId === bootId && name === `${parsed.data.pair.device}.json`) return [parsed.data];
    rmSync(join(directory, name), { force: true });
    return [];
  });
}

/** The recorded process; or one that was started just before the supervisor ended, when its number was not yet noted. */
function findRunning({ pair, process }: Record) {
  if (process !== undefined && isRunning(process)) return process;
  const found = findProcess(vhostDevice(pair));
  return found && { ...found, ready: false };
}

function idlest(cores: readonly number[], relays: readonly Relay[]): number {
  const load = (core: number) => relays.filter(({ worker }) => worker === core).length;
  return cores.reduce((best, core) => (load(core) < load(best) ? core : best), cores[0] ?? 0);
}

function isSame(a: Pair, b: Pair): boolean {
  return a.device === b.device && a.socket === b.socket && a.mtu === b.mtu;
}

function taken(has: Pair, wanted: Pair): Error {
  return new Error(
    `${wanted.device} is relayed to ${has.socket} with MTU ${has.mtu} already, and not to ${wanted.socket} with MTU ${wanted.mtu}; detach it first`,
  );
}

/** By rename: a reader sees the old one or the new one. */
function write(path: string, record: Record): void {
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
