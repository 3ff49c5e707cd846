// The sweep finishes what was half done and removes what is dead. It runs at start, whenever OVSDB is back, and on a slow tick.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { cables } from '../../vnic/index.ts';
import { type Attachment, lockKey } from '../attachment/attachment.ts';
import type { Context, LookForLoss } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';
import { wordsOfLeft } from '../attachment/left.ts';
import { findStrays } from './strays.ts';
import { teardown } from './teardown.ts';

export interface SweepReport {
  /** What had to be removed. */
  readonly swept: readonly Swept[];
  /** Why the rest could not be looked at. The next sweep tries again. */
  readonly problems: readonly string[];
}

export interface Swept {
  readonly attachment: Attachment;
  readonly why: string;
  /** Why not all of it could be removed. The next sweep tries again. */
  readonly failure?: string;
}

/** What looking needs. */
export type Looker = Pick<Context, 'host' | 'settings' | 'bootId' | 'lock' | 'findLoss'> & { readonly journal: JournalView };

type Asked = Omit<Looker, 'findLoss'> & { readonly findLoss?: LookForLoss };

interface Sweep {
  readonly context: Asked;
  readonly act: (attachment: Attachment, why: string) => Promise<void>;
  readonly swept: Swept[];
  readonly problems: string[];
}

/** Never throws. What can't be done now stays, and the next sweep tries again. */
export function sweep(context: Context): Promise<SweepReport> {
  return sweepAll(context, async (attachment, why) => {
    const { id, containerId, ifname } = attachment;
    context.host.log.info({ id, containerId, ifname, why }, 'sweeping an attachment');
    await teardown(context, attachment);
    if (context.journal.find(id) !== undefined) throw new Error('not all of it could be taken away yet; see the lines before');
  });
}

/** Returns what a sweep would do now, and changes nothing. */
export function planSweep(context: Looker): Promise<SweepReport> {
  const { findLoss, ...rest } = context;
  return sweepAll({ ...rest, ...(findLoss && { findLoss: findLoss.peek }) }, async () => {});
}

async function sweepAll(context: Asked, act: Sweep['act']): Promise<SweepReport> {
  const { host, journal, settings } = context;
  const run: Sweep = { context, act, swept: [], problems: [...journal.problems()] };
  if (run.problems.length > 0) host.log.error({ problems: run.problems }, 'a part of the journal is left alone');
  try {
    const journaled = journal.list().map(({ attachment }) => attachment);
    for (const address of new Set([settings.ovsdb, ...journaled.map(({ ovsdb }) => ovsdb)])) {
      const there = journaled.filter(({ ovsdb }) => ovsdb === address);
      await sweepDatabase(run, address, there);
    }
  } catch (error) {
    run.problems.push(messageOf(error));
    host.log.error({ error: messageOf(error) }, 'sweeping failed; again later');
  }
  return run;
}

/** It asks the database first. So when that is down, it waits once, and not for every attachment. */
async function sweepDatabase(run: Sweep, address: string, journaled: readonly Attachment[]): Promise<void> {
  const { context, problems } = run;
  const { host } = context;
  try {
    await host.ovsdb(address).replica();
    for (const attachment of journaled) await sweepOne(run, attachment, () => endOf(context, attachment, journaled));
    // The netdev of a port in a remote database may be on another machine. So it proves nothing that the netdev is not on this one.
    const strays = address.startsWith('unix:') ? await findStrays(context, address) : [];
    for (const attachment of strays) await sweepOne(run, attachment, () => deathOf(context, attachment));
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    problems.push(error.message);
    host.log.warn({ ovsdb: address, error: error.message }, 'not swept until OVSDB is back');
  }
}

/** `reason` is called when nobody else works on the attachment. When it gives undefined, the attachment stays. */
async function sweepOne(
  { context, act, swept }: Sweep,
  attachment: Attachment,
  reason: () => Promise<string | undefined>,
): Promise<void> {
  const { host, lock } = context;
  let why: string | undefined;
  const work = async () => {
    why = await reason();
    if (why === undefined) return;
    await act(attachment, why);
    swept.push({ attachment, why });
  };
  await lock(lockKey(attachment), work).catch((error: unknown) => {
    host.log.warn({ id: attachment.id, error: messageOf(error) }, 'sweeping failed; again later');
    swept.push({ attachment, why: why ?? 'whether it lives could not be found out', failure: messageOf(error) });
  });
}

/** Why a journaled attachment has to go. Undefined when it lives, or when it is gone already. */
async function endOf(context: Asked, attachment: Attachment, others: readonly Attachment[]): Promise<string | undefined> {
  const entry = await context.journal.find(attachment.id);
  if (entry === undefined) return undefined;
  const { phase, left } = entry;
  if (phase === 'added') return await deathOf(context, attachment, others);
  return left === undefined ? `its ${phase} was cut short` : `it is deleted but for ${wordsOfLeft(attachment, left)}`;
}

export async function isDead(context: Looker, attachment: Attachment): Promise<boolean> {
  return (await deathOf(context, attachment)) !== undefined;
}

/**
 * This needs proof. A missing namespace path may only be a mount that this process can't see. But no pod survives a reboot, no pod has an
 * interface whose cable is gone, and no pod lives that neither the API server nor kubelet knows.
 */
export async function deathOf(
  { host, bootId, findLoss }: Pick<Asked, 'host' | 'bootId' | 'findLoss'>,
  attachment: Attachment,
  others: readonly Attachment[] = [],
): Promise<string | undefined> {
  if (attachment.bootId !== bootId) return 'the machine was rebooted';
  const alive = await cables[attachment.vnicType].alive(host, attachment);
  return alive === false ? 'its cable is gone, and so is the pod' : await findLoss?.(attachment, others);
}
