// The pairs that the forwarder should have, on disk, because a forwarder forgets them when it restarts, and so do we.
// There is one file per device. It is written whole and durably before the forwarder is asked.
import { mkdir, readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceDurably } from '../files/durable.ts';
import type { Pair } from './forwarder.ts';

export interface WantedPairs {
  /** In memory: what the disk has. */
  list(): readonly Pair[];
  find(device: string): Pair | undefined;
  /** Durable when it resolves. Replaces what was wanted of the device. */
  put(pair: Pair): Promise<void>;
  /** Not there is fine. */
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

/** Reads what is there; a file that is no record (a crash before its rename, a stranger's) and one of another boot are removed. */
export async function openWantedPairs({ directory, bootId }: WantedPairsOptions): Promise<WantedPairs> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const pairs = new Map<string, Pair>();
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const found = record.safeParse(parseJson(await readFile(path, 'utf8')));
    const wanted = found.success && found.data.bootId === bootId && name === fileName(found.data.pair.device);
    if (wanted) pairs.set(found.data.pair.device, found.data.pair);
    else await unlink(path);
  }
  return {
    list: () => [...pairs.values()],
    find: (device) => pairs.get(device),
    async put(wanted) {
      // It may have been removed while we run.
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await replaceDurably(join(directory, fileName(wanted.device)), JSON.stringify({ version: 1, bootId, pair: wanted }));
      pairs.set(wanted.device, wanted);
    },
    async remove(device) {
      pairs.delete(device);
      await unlink(join(directory, fileName(device))).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    },
  };
}

/** PCI addresses and netdevs' names: neither has a slash. */
function fileName(device: string): string {
  return `${device}.json`;
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}
