// GC: removes what the runtime no longer knows, but only of this network, and only what is ours. If the key is absent, it says nothing about
// what is valid, so only what is proven dead is removed. An empty list says that nothing is valid.
import { type Attachment, attachmentId, lockKey } from './attachment/attachment.ts';
import type { Context } from './attachment/context.ts';
import { ipamCall, ovsdbOf } from './attachment/plan.ts';
import { ipamOptional } from './protocol/ipam.ts';
import type { Request } from './protocol/request.ts';
import { isDead } from './teardown/end.ts';
import { askingOnce } from './teardown/outsiders.ts';
import { findStrays } from './teardown/strays.ts';
import { teardown } from './teardown/teardown.ts';

/** Tries everything, then throws the first failure. */
export async function gc(patient: Context, request: Request): Promise<void> {
  const context = { ...patient, host: askingOnce(patient.host, new Set()) };
  const network = request.config.name;
  const valid = request.config['cni.dev/valid-attachments'];
  const ids = valid?.map(({ containerID, ifname }) => attachmentId({ network, containerId: containerID, ifname }));
  const failures: unknown[] = [];
  const remember = (error: unknown) => void failures.push(error);
  const collect = async (attachment: Attachment) => {
    const stale = ids === undefined ? await isDead(context, attachment) : !ids.includes(attachment.id);
    if (stale) await teardown(context, attachment);
  };
  const journaled = context.journal
    .list()
    .map(({ attachment }) => attachment)
    .filter((each) => each.network === network);
  const strays = await findStrays(context, ovsdbOf(context, request), network).catch((error: unknown) => {
    remember(error);
    return [];
  });
  for (const each of [...journaled, ...strays]) await context.lock(lockKey(each), () => collect(each)).catch(remember);
  const ipam = ipamCall(context, request);
  if (ipam !== undefined) await ipamOptional(context.host, ipam, 'GC').catch(remember);
  if (failures.length > 0) throw failures[0];
}
