// The sweep: at start, whenever OVSDB is back, and on a slow tick, finishes what was half done and removes what is dead.
import { messageOf } from '../host/errors.ts';
import { vnics } from '../vnic/index.ts';
import { type Attachment, lockKey } from './attachment.ts';
import type { Context } from './context.ts';
import { teardown } from './teardown.ts';

/** Never throws: what can't be done now stays in the journal and is tried again at the next sweep. */
export async function sweep(context: Context): Promise<void> {
  const { host, journal, lock } = context;
  for (const { attachment } of await journal.list()) {
    await lock(lockKey(attachment), async () => {
      const entry = await journal.find(attachment.id);
      const why =
        entry === undefined
          ? undefined
          : entry.phase === 'added'
            ? await deathOf(context, attachment)
            : `its ${entry.phase} was cut short`;
      if (why === undefined) return;
      host.log.info(
        { id: attachment.id, containerId: attachment.containerId, ifname: attachment.ifname, why },
        'sweeping an attachment',
      );
      await teardown(context, attachment);
    }).catch((error: unknown) => host.log.warn({ id: attachment.id, error: messageOf(error) }, 'sweeping failed; again later'));
  }
}

export async function isDead(context: Context, attachment: Attachment): Promise<boolean> {
  return (await deathOf(context, attachment)) !== undefined;
}

/**
 * Proof, not a guess: a missing namespace path may only be a mount that this process can't see, but no pod survives its boot, and no
 * pod has an interface whose cable is gone.
 */
async function deathOf({ host, bootId }: Context, attachment: Attachment): Promise<string | undefined> {
  if (attachment.bootId !== bootId) return 'the machine was rebooted';
  const alive = await vnics[attachment.vnicType]?.alive(host, attachment);
  return alive === false ? 'its cable is gone, and so is the pod' : undefined;
}
