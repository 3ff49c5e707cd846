// The pairs that the forwarder should have, on disk, because a forwarder forgets them when it restarts, and so do we.
// There is one file per device. It is written whole and durably before the forwarder is asked.
import { mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceDurably } from '../files/durable.ts';
import { listDirectory } from '../kernel/sysfs.ts';
import type { Pair } from './forwarder.ts';

export interface WantedPairs {
  /** In memory: what the disk has. */
  list(): readonly Pair[];
  find(device: string): Pair | undefined;
  /** Of an earlier boot, as they were found at the start: their pods are gone. */
  readonly outdated: readonly Pair[];
  /** Paths of files that a newer version wrote, or nobody knows who. They are left alone. */
  readonly strange: readonly string[];
  /** Durable when it resolves. Replaces what was wanted of the device. @throws Error where a strange file has the device's name. */
  put(pair: Pair): Promise<void>;
  /** Not there is fine; a strange one stays. */
  remove(device: string): Promise<void>;
}

export interface WantedPairsOptions {
  /** Made if need be, 0700. */
  readonly directory: string;
  /** /proc/sys/kernel/random/boot_id: no pod survives its boot, and so no pair of another one is wanted. */
  readonly bootId: string;
}

const text = z.string().min(1);
const pair = z.strictObject({ device: text, socket: text, mac: text, mtu: z.int().positive() });
const record = z.strictObject({ version: z.literal(1), bootId: text, pair });

/** Reads what is there. Drafts of a crash before its rename and records of another boot are removed. */
export async function openWantedPairs({ directory, bootId }: WantedPairsOptions): Promise<WantedPairs> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const pairs = new Map<string, Pair>();
  const outdated: Pair[] = [];
  const strange: string[] = [];
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const data = await readRecord(path, name);
    if (isDraft(name)) await unlink(path);
    else if (data === undefined) strange.push(path);
    else if (data.bootId === bootId) pairs.set(data.pair.device, data.pair);
    else {
      outdated.push(data.pair);
      await unlink(path);
    }
  }
  const isStrange = (device: string) => strange.includes(join(directory, fileName(device)));
  return {
    list: () => [...pairs.values()],
    find: (device) => pairs.get(device),
    outdated,
    strange,
    async put(wanted) {
      if (isStrange(wanted.device)) throw notUnderstood(join(directory, fileName(wanted.device)));
      await replaceDurably(join(directory, fileName(wanted.device)), JSON.stringify({ version: 1, bootId, pair: wanted }));
      pairs.set(wanted.device, wanted);
    },
    async remove(device) {
      pairs.delete(device);
      if (isStrange(device)) return;
      await unlink(join(directory, fileName(device))).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    },
  };
}

/** The paths of files that a newer version wrote, or nobody knows who. Changes nothing. */
export async function findStrangePairs(directory: string): Promise<readonly string[]> {
  const strange: string[] = [];
  for (const name of listDirectory(directory)) {
    const path = join(directory, name);
    if (!isDraft(name) && (await readRecord(path, name)) === undefined) strange.push(path);
  }
  return strange;
}

/** Undefined when it can't be read, or is not understood. */
async function readRecord(path: string, name: string) {
  const { data } = record.safeParse(await readJson(path));
  return data !== undefined && name === fileName(data.pair.device) ? data : undefined;
}

/** PCI addresses and netdevs' names: neither has a slash. */
function fileName(device: string): string {
  return `${device}.json`;
}

function isDraft(name: string): boolean {
  return name.startsWith('.') && name.endsWith('.new');
}

function notUnderstood(path: string): Error {
  return new Error(
    `${path}, which says what the forwarder relays, is not understood and is left alone; a newer smartnic may have written it: run that version again, or ` +
      'remove the file and restart the CNI server',
  );
}

/** Undefined: it can't be read, or is no JSON. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}
