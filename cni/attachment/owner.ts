// One vf, one owner; the same for slots. A small file per vf names the attachment that owns it and counts its owners (the generation), so
// that a late DEL of an old pod can tell that the vf is somebody else's by now.
import { closeSync, fdatasync, fsync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isRecord } from '../../host/base/json.ts';
import { readText } from '../../host/kernel/sysfs.ts';
import { type Attachment, reservedBy } from './attachment.ts';
import type { Context } from './context.ts';

export interface Ownership {
  /** Grows with every owner. */
  readonly generation: number;
  /** Id of the attachment; absent: nobody's. */
  readonly owner?: string;
}

type Owners = Pick<Context, 'settings' | 'lock'>;
type Owned = Pick<Attachment, 'id' | 'vf' | 'slot'>;

export function findOwnership({ settings }: Pick<Context, 'settings'>, address: string): Ownership {
  const value = parse(readText(fileOf(settings.stateDir, address)));
  const [generation, owner] = [value['generation'], value['owner']];
  return { generation: typeof generation === 'number' ? generation : 0, ...(typeof owner === 'string' ? { owner } : {}) };
}

/** Whether its vf is still its own; an attachment without one has nothing to lose. */
export function owns(context: Pick<Context, 'settings'>, attachment: Owned): boolean {
  const device = reservedBy(attachment);
  if (device === undefined) return true;
  const { owner, generation } = findOwnership(context, device.id);
  return owner === attachment.id && generation === device.generation;
}

/** Durable when it returns. @returns the new generation; undefined when the vf has an owner that the caller does not expect. */
export async function takeOwnership(
  context: Owners,
  address: string,
  { id, expected }: { id: string; expected: string | undefined },
) {
  return await context.lock(lockOf(address), async () => {
    const { generation, owner } = findOwnership(context, address);
    if (owner !== expected) return undefined;
    await write(context.settings.stateDir, address, { generation: generation + 1, owner: id });
    return generation + 1;
  });
}

/** Runs `work`, unless the vf has gone over to another owner; then nothing may be done to it. The vf is nobody's afterwards. */
export async function asLastWork(context: Owners, attachment: Owned, work: () => Promise<void>): Promise<'done' | Ownership> {
  const device = reservedBy(attachment);
  if (device === undefined) {
    await work();
    return 'done';
  }
  return await context.lock(lockOf(device.id), async () => {
    const now = findOwnership(context, device.id);
    if (!owns(context, attachment)) return now;
    await work();
    await write(context.settings.stateDir, device.id, { generation: now.generation });
    return 'done';
  });
}

function lockOf(address: string): string {
  return `vf\0${address}`;
}

function fileOf(stateDir: string, address: string): string {
  return join(stateDir, 'vfs', `${address}.json`);
}

function parse(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return isRecord(value) ? value : {};
  } catch {
    return {}; // written by rename only, so this is not a crash; no owner is the careful reading
  }
}

async function write(stateDir: string, address: string, ownership: Ownership): Promise<void> {
  const directory = join(stateDir, 'vfs');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [path, draft] = [fileOf(stateDir, address), join(directory, `.${address}.new`)];
  using open = new DisposableStack();
  const file = open.adopt(openSync(draft, 'w', 0o600), closeSync);
  writeSync(file, JSON.stringify(ownership));
  await syncData(file);
  renameSync(draft, path);
  await sync(open.adopt(openSync(directory, 'r'), closeSync));
}

const [syncData, sync] = [promisify(fdatasync), promisify(fsync)];
