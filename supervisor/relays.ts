// All relays of the node: attach, detach, and what was attached when the last supervisor ended (notes.ts).
import { join } from 'node:path';
import { makeLock } from '../host/base/lock.ts';
import type { Logger } from '../host/base/log.ts';
import { removeFile } from '../host/files/plain.ts';
import type { Attached, Pair, PairName } from '../host/forwarder/forwarder.ts';
import { notesDirectory } from '../host/forwarder/relay-notes.ts';
import type { TestpmdSettings } from '../host/forwarder/settings.ts';
import { relayArguments, vhostDevice } from './command-line.ts';
import { type Note, openNotes } from './notes.ts';
import { endProcess, findProcess, isRunning } from './processes.ts';
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
  /** /proc/sys/kernel/random/boot_id. Relays of an earlier boot are not started again. */
  readonly bootId: string;
}

export function openRelays({ settings, log, bootId }: RelaysOptions): Relays {
  const directory = notesDirectory(settings);
  const notes = openNotes(directory, bootId);
  const logFile = (device: string) => join(directory, `${device}.log`);
  const relays = new Map<string, Relay>();
  const lock = makeLock();
  for (const path of notes.strange.values())
    log.warn({ path }, 'a note of a relay is not understood; it and its relay are left alone');

  const supervise = (note: Note) => {
    const { pair, worker } = note;
    const relay = superviseRelay({
      ...{ pair, worker, log, program: settings.program },
      args: relayArguments(pair, settings, worker),
      logFile: logFile(pair.device),
      found: findRunning(note),
      note: (process) => notes.write({ ...note, process }),
    });
    relays.set(pair.device, relay);
    return relay;
  };
  const end = async (device: string) => {
    await relays.get(device)?.stop();
    relays.delete(device);
    // Also when an earlier attempt could not remove them.
    notes.remove(device);
    removeFile(logFile(device));
  };

  for (const note of notes.found) supervise(note);
  return {
    attach: (pair) =>
      lock(pair.device, async () => {
        const strange = notes.strange.get(pair.device);
        if (strange !== undefined) throw notUnderstood(strange, pair);
        const known = relays.get(pair.device);
        if (known !== undefined && !isSame(known.pair, pair)) throw taken(known.pair, pair);
        if (known !== undefined) return await known.ready();
        const note = { pair, worker: idlest(settings.workerCores, [...relays.values()]) };
        // This is written before the process starts, so that our successor knows of it.
        notes.write(note);
        await supervise(note)
          .ready()
          .catch(async (error: unknown) => {
            await end(pair.device);
            throw error;
          });
      }),
    detach: ({ device, socket }) =>
      lock(device, async () => {
        // Its owner wants the device back: the relay ends, and its note stays for who understands it.
        if (notes.strange.has(device)) await endProcess(vhostDevice({ socket }));
        else await end(device);
      }),
    attached: () => [...relays.values()].map(({ pair: { device, socket }, status }) => ({ device, socket, status })),
  };
}

/** The noted process; or one that was started just before the supervisor ended, when its number was not yet noted. */
function findRunning({ pair, process }: Note) {
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

function notUnderstood(path: string, { device }: Pair): Error {
  return new Error(
    `${path}, a note of the relay of ${device}, is not understood, so nothing is started for that device; a newer smartnic may have written it: ` +
      `run that version again, or remove the file and restart smartnic-forwarder`,
  );
}
