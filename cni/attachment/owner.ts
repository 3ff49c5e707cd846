// What is reserved has one owner. A small file for each VF or slot names the attachment that owns it and counts its owners (the
// generation), so that a late DEL of an old pod can tell that it is somebody else's by now.
import { closeSync, fdatasync, fsync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isRecord } from '../../host/base/json.ts';
import { readText } from '../../host/kernel/sysfs.ts';
import type { Attachment } from './attachment.ts';
import type { Context } from './context.ts';

export interface Ownership {
  /** Grows with every owner. */
  readonly generation: number;
  /** Id of the attachment; absent: nobody's. */
  readonly owner?: string;
}

type Owners = Pick<Context, 'settings' | 'lock'>;
type Owned = Pick<Attachment, 'id' | 'reserved'>;

/** @param id - of what is reserved. */
export function findOwnership({ settings }: Pick<Context, 'settings'>, id: string): Ownership {
  const value = parse(readText(fileOf(settings.stateDir, id)));
  const [generation, owner] = [value['generation'], value['owner']];
  return { generation: typeof generation === 'number' ? generation : 0, ...(typeof owner === 'string' ? { owner } : {}) };
}

/** Whether what was reserved for it is still its own; an attachment without has nothing to lose. */
export function owns(context: Pick<Context, 'settings'>, { id, reserved }: Owned): boolean {
  if (reserved === undefined) return true;
  const { owner, generation } = findOwnership(context, reserved.id);
  return owner === id && generation === reserved.generation;
}

/** Durable when it returns. @returns the new generation; undefined when it has an owner that the caller does not expect. */
export async function takeOwnership(
  context: Owners,
  id: string,
  { attachment, expected }: { attachment: string; expected: string | undefined },
) {
  return await context.lock(lockOf(id), async () => {
    const { generation, owner } = findOwnership(context, id);
    if (owner !== expected) return undefined;
    await write(context.settings.stateDir, id, { generation: generation + 1, owner: attachment });
    return generation + 1;
  });
}

/** Runs `work`, unless what was reserved has another owner by now; then nothing may be done to it. It is nobody's afterwards. */
export async function asLastWork(context: Owners, attachment: Owned, work: () => Promise<void>): Promise<'done' | Ownership> {
  const { reserved } = attachment;
  if (reserved === undefined) {
    await work();
    return 'done';
  }
  return await context.lock(lockOf(reserved.id), async () => {
    const now = findOwnership(context, reserved.id);
    if (!owns(context, attachment)) return now;
    await work();
    await write(context.settings.stateDir, reserved.id, { generation: now.generation });
    return 'done';
  });
}

function lockOf(id: string): string {
  return `owner of\0${id}`;
}

function fileOf(stateDir: string, id: string): string {
  return join(directoryOf(stateDir), `${id}.json`);
}

function directoryOf(stateDir: string): string {
  return join(stateDir, 'owners');
}

function parse(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return isRecord(value) ? value : {};
  } catch {
    return {}; // written by rename only, so this is not a crash; no owner is the careful reading
  }
}

async function write(stateDir: string, id: string, ownership: Ownership): Promise<void> {
  const directory = directoryOf(stateDir);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [path, draft] = [fileOf(stateDir, id), join(directory, `.${id}.new`)];
  using open = new DisposableStack();
  const file = open.adopt(openSync(draft, 'w', 0o600), closeSync);
  writeSync(file, JSON.stringify(ownership));
  await syncData(file);
  renameSync(draft, path);
  await sync(open.adopt(openSync(directory, 'r'), closeSync));
}

const [syncData, sync] = [promisify(fdatasync), promisify(fsync)];
