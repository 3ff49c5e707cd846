// Reads kubelet's own note of which container has which devices (kubelet_internal_checkpoint), for times when kubelet can't be asked.
// Kubelet calls the format internal and adds keys (BootID came late). So unknown keys are accepted, and everything that is used is checked.
// The checksum is made over Go's own printing of the structures, so it can't be computed here.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { messageOf } from '../base/errors.ts';
import { explain } from '../base/explain.ts';
import type { Machine } from '../base/machine.ts';

const checkpointFile = '/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint';

/** The devices that one container has of one resource. The file names the pod only by its UID. */
export interface CheckpointDevices {
  readonly podUid: string;
  readonly container: string;
  readonly resource: string;
  readonly ids: readonly string[];
}

/** The file's entries; undefined when there is no such file (kubelet has never had a device plugin). Throws as parseCheckpoint. */
export function readCheckpoint(host: Machine, file = checkpointFile): readonly CheckpointDevices[] | undefined {
  const path = join(host.root, file);
  try {
    return parseCheckpoint(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new Error(`cannot read kubelet's device checkpoint ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Parses the file's text. Throws, naming the place, when anything differs from what kubelet 1.20 and later write. */
export function parseCheckpoint(text: string): readonly CheckpointDevices[] {
  const value: unknown = JSON.parse(text);
  const result = checkpoint.safeParse(value);
  if (!result.success) throw new Error(`it is not shaped as kubelet writes it: ${explain(result.error, value)}`);
  return (result.data.Data.PodDeviceEntries ?? []).map((entry) => ({
    podUid: entry.PodUID,
    container: entry.ContainerName,
    resource: entry.ResourceName,
    ids: Object.values(entry.DeviceIDs ?? {}).flatMap((ids) => ids ?? []),
  }));
}

/** Ids by NUMA node ("-1": none). Go writes empty maps and lists as null. */
const deviceIds = z.nullable(
  z.record(z.string().check(z.regex(/^-?\d+$/, 'is not a NUMA node')), z.nullable(z.array(z.string()))),
);

const entry = z.object({ PodUID: z.string(), ContainerName: z.string(), ResourceName: z.string(), DeviceIDs: deviceIds });

const checkpoint = z.object({ Data: z.object({ PodDeviceEntries: z.nullable(z.array(entry)) }) });
