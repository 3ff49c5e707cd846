// DEL: always ends clean. Needs neither the namespace nor the journal nor a sound configuration.
import { attachmentId, keyOf } from './attachment.ts';
import type { Context } from './context.ts';
import { planAttachment } from './plan.ts';
import type { Request } from './request.ts';
import { teardown } from './teardown.ts';

/** Throws only what IPAM or the machine refused, after everything was tried. */
export async function del(context: Context, request: Request): Promise<void> {
  const entry = await context.journal.find(attachmentId(keyOf(request)));
  // With the journal lost, what the request itself says has to do; the port is found by its external_ids.
  await teardown(context, entry?.attachment ?? planAttachment(context, request, 'normal'));
}
