// Every VF or slot has one owner. A small file for each names the attachment that owns it and counts the owners (the generation). So a late
// DEL of an old pod can tell that somebody else has it now.
import { join } from 'node:path';
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { isRecord } from '../../host/base/json.ts';
import { replaceDurably } from '../../host/files/durable.ts';
import { listDirectory, readText } from '../../host/kernel/sysfs.ts';
import { unwritable } from '../protocol/errors.ts';
import type { Attachment } from './attachment.ts';
import type { Context } from './context.ts';

export interface Ownership {
  /** Grows with every owner. */
  readonly generation: number;
  /** The id of the attachment. Absent when nobody owns it. */
  readonly owner?: string;
}

type Owners = Pick<Context, 'settings' | 'lock' | 'host'>;
type Owned = Pick<Attachment, 'id' | 'reserved'>;

/** @param id - of the VF or slot. @throws Unavailable when its file can't be read or is not understood. Then nobody gets the VF or touches it. */
export function findOwnership({ settings }: Pick<Context, 'settings'>, id: string): Ownership {
  const path = fileOf(settings.stateDir, id);
  try {
    const text = readText(path);
    return text === undefined ? { generation: 0 } : parse(text);
  } catch (error) {
    throw new Unavailable(
      `${path}, which says whose ${id} is, is not understood and is left alone: ${messageOf(error)}; a newer smartnic may have written it: run that ` +
        'version again, or remove the file once no pod has it',
      { cause: error },
    );
  }
}

/** What is wrong with the files that can't be read or are not understood, in words. Changes nothing. */
export function findStrangeOwners(context: Pick<Context, 'settings'>): readonly string[] {
  const files = listDirectory(directoryOf(context.settings.stateDir)).filter((name) => !name.startsWith('.'));
  return files.flatMap((name) => {
    if (!name.endsWith(ending)) return [`${join(directoryOf(context.settings.stateDir), name)} is no file of ours`];
    try {
      findOwnership(context, name.slice(0, -ending.length));
      return [];
    } catch (error) {
      return [messageOf(error)];
    }
  });
}

/** Whether the attachment still owns what was reserved for it. If nothing was reserved, it does. @throws Unavailable like findOwnership. */
export function owns(context: Pick<Context, 'settings'>, { id, reserved }: Owned): boolean {
  if (reserved === undefined) return true;
  const { owner, generation } = findOwnership(context, reserved.id);
  return owner === id && generation === reserved.generation;
}

/** Durable when it resolves. @returns the new generation; undefined when there is an owner that the caller does not expect. */
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

/** Runs `work` unless the VF or slot has another owner now, because then nothing may be done to it. Afterwards nobody owns it. */
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
    await giveUp(context, reserved.id, now.generation);
    return 'done';
  });
}

/**
 * On a full or read-only disk the file still names the owner that is gone. This does no harm: the next owner must first write its own generation
 * to the same disk. Before that it ends the former owner once more (claim.ts), which then has nothing left to do.
 */
async function giveUp({ settings, host }: Owners, id: string, generation: number): Promise<void> {
  await write(settings.stateDir, id, { generation }).catch((error: unknown) =>
    host.log.error(
      { reserved: id, error: messageOf(error) },
      "it is nobody's now, but that can't be noted; its next owner does it",
    ),
  );
}

function lockOf(id: string): string {
  return `owner of\0${id}`;
}

const ending = '.json';

function fileOf(stateDir: string, id: string): string {
  return join(directoryOf(stateDir), `${id}${ending}`);
}

function directoryOf(stateDir: string): string {
  return join(stateDir, 'owners');
}

function parse(text: string): Ownership {
  const value: unknown = JSON.parse(text);
  const { generation, owner, ...more } = isRecord(value) ? value : {};
  if (typeof generation !== 'number' || !['string', 'undefined'].includes(typeof owner) || Object.keys(more).length > 0)
    throw new Error(`it holds ${text.slice(0, 200)}`);
  return { generation, ...(typeof owner === 'string' ? { owner } : {}) };
}

async function write(stateDir: string, id: string, ownership: Ownership): Promise<void> {
  const path = fileOf(stateDir, id);
  try {
    await replaceDurably(path, JSON.stringify(ownership));
  } catch (error) {
    throw unwritable(path, error);
  }
}
