// The sweep: at start, whenever OVSDB is back, and on a slow tick, finishes what was half done and removes what is dead.
import { messageOf, Unavailable } from '../host/errors.ts';
import { vnics } from '../vnic/index.ts';
import { type Attachment, lockKey } from './attachment.ts';
import type { Context } from './context.ts';
import { findStrays } from './strays.ts';
import { teardown } from './teardown.ts';

/** Never throws: what can't be done now stays where it is and is tried again at the next sweep. */
export async function sweep(context: Context): Promise<void> {
  const { host, journal, settings } = context;
  try {
    const journaled = journal.list().map(({ attachment }) => attachment);
    for (const address of new Set([settings.ovsdb, ...journaled.map(({ ovsdb }) => ovsdb)])) {
      const there = journaled.filter(({ ovsdb }) => ovsdb === address);
      await sweepDatabase(context, address, there);
    }
  } catch (error) {
    host.log.error({ error: messageOf(error) }, 'sweeping failed; again later');
  }
}

/** The database is asked first, so that one that is down is waited for once and not for every attachment. */
async function sweepDatabase(context: Context, address: string, journaled: readonly Attachment[]): Promise<void> {
  const { host } = context;
  try {
    await host.ovsdb(address).replica();
    for (const attachment of journaled) await sweepOne(context, attachment, () => endOf(context, attachment));
    // The netdev of a port in a remote database may be on another machine: that it is not on this one proves nothing.
    const strays = address.startsWith('unix:') ? await findStrays(context, address) : [];
    for (const attachment of strays) await sweepOne(context, attachment, () => deathOf(context, attachment));
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    host.log.warn({ ovsdb: address, error: error.message }, 'not swept until OVSDB is back');
  }
}

/** `reason` is asked when nobody else works on the attachment; undefined: it stays. */
async function sweepOne(context: Context, attachment: Attachment, reason: () => Promise<string | undefined>): Promise<void> {
  const { host, lock } = context;
  const { id, containerId, ifname } = attachment;
  const work = async () => {
    const why = await reason();
    if (why === undefined) return;
    host.log.info({ id, containerId, ifname, why }, 'sweeping an attachment');
    await teardown(context, attachment);
  };
  await lock(lockKey(attachment), work).catch((error: unknown) => {
    host.log.warn({ id, error: messageOf(error) }, 'sweeping failed; again later');
  });
}

/** Of a journaled one, which may be gone by now. */
async function endOf(context: Context, attachment: Attachment): Promise<string | undefined> {
  const entry = await context.journal.find(attachment.id);
  if (entry === undefined) return undefined;
  return entry.phase === 'added' ? await deathOf(context, attachment) : `its ${entry.phase} was cut short`;
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
