// The sweep finishes what was half done and removes what is dead. It runs beside serving: at start, whenever OVSDB is back, and on a slow tick.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { forEachOf } from '../../host/base/for-each.ts';
import { type Attachment, lockKey } from '../attachment/attachment.ts';
import { abandonable, type Context, type LookForLoss } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';
import { type End, endOf, endOfStray, type Witnesses } from './end.ts';
import { askingOnce, type Silent, unlessSilent } from './outsiders.ts';
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

type Asked = Omit<Looker, 'findLoss'> & Witnesses;

interface Sweep {
  readonly context: Asked;
  /** Takes it away. `wanted` is aborted when a request comes for this interface. Then the request does the rest. */
  readonly act: (attachment: Attachment, why: string, wanted: AbortSignal) => Promise<void>;
  readonly swept: Swept[];
  readonly problems: string[];
  readonly slow: Set<string>;
}

/** How many attachments of one IPAM plugin are swept at the same time. More would take the processor from requests. */
const width = 8;
/** Milliseconds. An attachment that took longer comes last in the next sweep, because it may wait for something that does not answer. */
const long = 1000;

/**
 * Never throws. What can't be done now stays, and the next sweep tries again.
 * @param slow - the ids that took long in the last sweep. The call replaces them by those that take long now.
 */
export function sweep(patient: Context, slow: Set<string>): Promise<SweepReport> {
  const silent: Silent = new Set();
  const context = { ...patient, host: askingOnce(patient.host, silent) };
  const act: Sweep['act'] = async (attachment, why, wanted) => {
    const { id, containerId, ifname } = attachment;
    context.host.log.info({ id, containerId, ifname, why }, 'sweeping an attachment');
    await teardown(abandonable(context, wanted), attachment);
    if (context.journal.has(id)) throw new Error('not all of it could be taken away yet; see the lines before');
  };
  return sweepAll(withLoss(context, silent, context.findLoss), act, slow);
}

/** Returns what a sweep would do now, and changes nothing. */
export function planSweep(looker: Looker): Promise<SweepReport> {
  const silent: Silent = new Set();
  const context = { ...looker, host: askingOnce(looker.host, silent) };
  return sweepAll(withLoss(context, silent, looker.findLoss?.peek), async () => {}, new Set());
}

/** An attachment stays when nobody can say now whether its pod is lost. */
function withLoss({ findLoss: _, ...rest }: Looker, silent: Silent, find: LookForLoss | undefined): Asked {
  if (find === undefined) return rest;
  const findLoss: LookForLoss = async (attachment, others) => {
    try {
      return await unlessSilent(silent, 'who knows the pods', () => find(attachment, others));
    } catch (error) {
      if (error instanceof Unavailable) return undefined;
      throw error;
    }
  };
  return { ...rest, findLoss };
}

async function sweepAll(context: Asked, act: Sweep['act'], slow: Set<string>): Promise<SweepReport> {
  const { host, journal, settings } = context;
  const run: Sweep = { context, act, swept: [], problems: [...journal.problems()], slow };
  if (run.problems.length > 0) host.log.error({ problems: run.problems }, 'a part of the journal is left alone');
  const journaled = journal.list().map(({ attachment }) => attachment);
  const addresses = new Set([settings.ovsdb, ...journaled.map(({ ovsdb }) => ovsdb)]);
  await forEachOf(addresses, addresses.size, async (address) => {
    const there = journaled.filter(({ ovsdb }) => ovsdb === address);
    await sweepDatabase(run, address, there).catch((error: unknown) => {
      run.problems.push(messageOf(error));
      host.log.warn(
        { ovsdb: address, error: messageOf(error) },
        'not swept for now; again when OVSDB is back, or within a minute',
      );
    });
  });
  return run;
}

/** It asks the database first. So when that is down, it waits once, and not for every attachment. */
async function sweepDatabase(run: Sweep, address: string, journaled: readonly Attachment[]): Promise<void> {
  const { context, slow } = run;
  await context.host.ovsdb(address).replica();
  const inOrder = journaled.toSorted((a, b) => Number(slow.has(a.id)) - Number(slow.has(b.id)));
  const groups = [...Map.groupBy(inOrder, ({ ipam }) => ipam?.type).values()];
  const sweepGroup = (group: readonly Attachment[]) =>
    forEachOf(group, width, (each) => sweepOne(run, each, () => endOf(context, each, journaled)));
  await forEachOf(groups, groups.length, sweepGroup);
  // The netdev of a port in a remote database may be on another machine. So it proves nothing that the netdev is not on this one.
  const strays = address.startsWith('unix:') ? await findStrays(context, address) : [];
  await forEachOf(strays, width, (each) => sweepOne(run, each, () => endOfStray(context, each)));
}

/** An attachment that a request works on is passed over. */
async function sweepOne({ context, act, swept, slow }: Sweep, attachment: Attachment, find: () => Promise<End>): Promise<void> {
  const { host, lock } = context;
  const { id } = attachment;
  const began = performance.now();
  let end: End;
  const work = async (wanted: AbortSignal) => {
    try {
      end = await find();
      if (end === undefined) return;
      await act(end.attachment, end.why, wanted);
      swept.push(end);
    } catch (error) {
      if (wanted.aborted) return;
      host.log.warn({ id, error: messageOf(error) }, 'sweeping failed; again later');
      swept.push({ attachment, why: end?.why ?? 'whether it lives could not be found out', failure: messageOf(error) });
    }
  };
  await lock.ifFree(lockKey(attachment), work);
  if (performance.now() - began > long) slow.add(id);
  else slow.delete(id);
}
