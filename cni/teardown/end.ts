// Decides whether an attachment has to go, and why.
import { cables } from '../../vnic/index.ts';
import type { Attachment } from '../attachment/attachment.ts';
import type { Context, LookForLoss } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';
import { wordsOfLeft } from '../attachment/left.ts';

/** What is asked whether the attachment lives. */
export interface Witnesses extends Pick<Context, 'host' | 'bootId'> {
  readonly journal: Pick<JournalView, 'find' | 'has'>;
  readonly findLoss?: LookForLoss;
}

/** The attachment as it is in the journal now, and the reason in words. Undefined when it stays. */
export type End = { readonly attachment: Attachment; readonly why: string } | undefined;

/** For a journaled attachment. Since it was listed, it may have gone, or may have been plugged anew. */
export async function endOf(context: Witnesses, { id }: Attachment, others: readonly Attachment[]): Promise<End> {
  const entry = context.journal.find(id);
  if (entry === undefined) return undefined;
  const { attachment, phase, left } = entry;
  if (phase !== 'added')
    return {
      attachment,
      why: left === undefined ? `its ${phase} was cut short` : `it is deleted but for ${wordsOfLeft(attachment, left)}`,
    };
  const why = await deathOf(context, attachment, others);
  return why === undefined ? undefined : { attachment, why };
}

export async function endOfStray(context: Witnesses, attachment: Attachment): Promise<End> {
  const why = context.journal.has(attachment.id) ? undefined : await deathOf(context, attachment);
  return why === undefined ? undefined : { attachment, why };
}

/** @throws Unavailable when the API server or kubelet does not answer. */
export async function isDead(context: Witnesses, attachment: Attachment): Promise<boolean> {
  return (await deathOf(context, attachment)) !== undefined;
}

/**
 * This needs proof. A missing namespace path may only be a mount that this process can't see. But no pod survives a reboot, no pod has an
 * interface whose cable is gone, and no pod lives that neither the API server nor kubelet knows.
 */
export async function deathOf(
  { host, bootId, findLoss }: Pick<Witnesses, 'host' | 'bootId' | 'findLoss'>,
  attachment: Attachment,
  others: readonly Attachment[] = [],
): Promise<string | undefined> {
  if (attachment.bootId !== bootId) return 'the machine was rebooted';
  const alive = await cables[attachment.vnicType].alive(host, attachment);
  return alive === false ? 'its cable is gone, and so is the pod' : await findLoss?.(attachment, others);
}
