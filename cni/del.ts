// DEL always ends clean. It needs neither the namespace nor the journal nor a valid configuration.
import { Unavailable } from '../host/base/errors.ts';
import { findPorts } from '../host/ovs/bridge.ts';
import { defaultType } from '../vnic/index.ts';
import { type Attachment, attachmentId, findingIds, keyOf } from './attachment/attachment.ts';
import type { Context } from './attachment/context.ts';
import type { Entry } from './attachment/entry.ts';
import { planAttachment } from './attachment/plan.ts';
import type { Request } from './protocol/request.ts';
import { teardown } from './teardown/teardown.ts';

/** Throws only what IPAM or the machine refused, after it has tried everything. */
export async function del(context: Context, request: Request): Promise<void> {
  const entry = findEntry(context, attachmentId(keyOf(request)));
  if (entry !== undefined) return await teardown(context, entry.attachment);
  // The journal entry is lost, so the request itself must be enough. The port is found by its external_ids.
  const attachment = planAttachment(context, request, defaultType);
  if (await wasAdded(context, attachment)) return await teardown(context, attachment, 'owed');
  // The address may be mistyped. Then this attachment must not be looked for without end.
  const foreign = attachment.ovsdb !== context.settings.ovsdb;
  await teardown(context, foreign ? { ...attachment, unproven: true } : attachment, 'refused');
}

/** An entry that can't be read is as useless here as one that is lost. */
function findEntry({ host, journal }: Context, id: string): Entry | undefined {
  try {
    return journal.find(id);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    host.log.error({ id, error: error.message }, 'deleting what the request itself tells of');
    return undefined;
  }
}

/**
 * Whether anything shows that an ADD was done. If not, an IPAM plugin that fails is owed nothing. It would fail ADD, too, and if DEL failed
 * because of it, a pod that never ran could never be removed.
 */
async function wasAdded({ host, journal }: Context, attachment: Attachment): Promise<boolean> {
  const db = host.ovsdb(attachment.ovsdb);
  return journal.has(attachment.id) || (db.problem === undefined && (await findPorts(db, findingIds(attachment))).length > 0);
}
