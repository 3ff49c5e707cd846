// DEL: always ends clean. Needs neither the namespace nor the journal nor a sound configuration.
import { Unavailable } from '../host/base/errors.ts';
import { defaultType } from '../vnic/index.ts';
import { type Attachment, attachmentId, keyOf } from './attachment/attachment.ts';
import type { Context } from './attachment/context.ts';
import type { Entry } from './attachment/entry.ts';
import { planAttachment } from './attachment/plan.ts';
import { isInstalled } from './protocol/ipam.ts';
import type { Request } from './protocol/request.ts';
import { teardown } from './teardown/teardown.ts';

/** Throws only what IPAM or the machine refused, after everything was tried. */
export async function del(context: Context, request: Request): Promise<void> {
  const entry = findEntry(context, attachmentId(keyOf(request)));
  await teardown(context, entry?.attachment ?? (await fromRequest(context, request)));
}

/** An entry that can't be read is of no more use than one that is lost. */
function findEntry({ host, journal }: Context, id: string): Entry | undefined {
  try {
    return journal.find(id);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    host.log.error({ id, error: error.message }, 'deleting what the request itself tells of');
    return undefined;
  }
}

/** With the journal lost, what the request itself says has to do; the port is found by its external_ids. */
async function fromRequest(context: Context, request: Request): Promise<Attachment> {
  const { ipam, ...rest } = planAttachment(context, request, defaultType);
  if (ipam === undefined) return rest;
  if (await isInstalled(ipam)) return { ...rest, ipam };
  // ADD refuses it before it changes anything: then a DEL that failed for it would keep a pod that never ran for ever.
  context.host.log.warn(
    { id: rest.id, ipam: ipam.type },
    'no ADD is known and the IPAM plugin is not there: nothing to give back',
  );
  return rest;
}
