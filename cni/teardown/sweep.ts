// The sweep finishes what was half done, removes what is dead, and puts back ports that went with their bridge. It runs beside serving: at
// start, whenever OVSDB is back, and on a slow tick.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { forEachOf } from '../../host/base/for-each.ts';
import { removingTogether } from '../../host/ovs/removing-together.ts';
import { type Attachment, ifaceId, lockKey } from '../attachment/attachment.ts';
import { findLostPort, type PortRecord, restorePort } from '../attachment/bridge-port.ts';
import { abandonable, type Context, type LookForLoss } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';
import { type End, endOf, endOfStray, type Witnesses } from './end.ts';
import { askingOnce, type Silent, unlessSilent } from './outsiders.ts';
import { findStrays } from './strays.ts';
import { teardown } from './teardown.ts';
import { isHopeless } from './unproven.ts';

export interface SweepReport {
  /** What had to be removed. */
  readonly swept: readonly Swept[];
  /** Whose ports were lost with their bridge and had to be made again. */
  readonly restored: readonly Attachment[];
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
  /** Gives up what is left of it. */
  readonly forget: (attachment: Attachment, why: string) => Promise<void>;
  /** Makes the attachment's port again. */
  readonly restore: (attachment: Attachment, how: { readonly port: PortRecord; readonly newer: boolean }) => Promise<void>;
  readonly swept: Swept[];
  readonly restored: Attachment[];
  readonly problems: string[];
  /** Why ports that are gone can't be made again. */
  readonly portless: string[];
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
  const context = { ...patient, host: askingOnce(patient.host, silent), removePorts: removingTogether() };
  const act: Sweep['act'] = async (attachment, why, wanted) => {
    const { id, containerId, ifname } = attachment;
    context.host.log.info({ id, containerId, ifname, why }, 'sweeping an attachment');
    await teardown(abandonable(context, wanted), attachment);
    if (context.journal.has(id)) throw new Error('not all of it could be taken away yet; see the lines before');
  };
  const restore: Sweep['restore'] = async (attachment, how) => {
    await restorePort(context.host.ovsdb(attachment.ovsdb), attachment, how);
    const { id, containerId, ifname, bridge, bridgePort } = attachment;
    context.host.log.warn(
      { id, containerId, ifname, bridge, bridgePort },
      'its port was gone from the bridge and is there again',
    );
  };
  const forget: Sweep['forget'] = async ({ id, containerId, ifname, ovsdb }, why) => {
    context.host.log.error({ id, containerId, ifname, ovsdb, why }, 'forgetting what nothing shows to be there');
    context.journal.remove(id);
  };
  return sweepAll(withLoss(context, silent, context.findLoss), { act, forget, restore, slow });
}

/** Returns what a sweep would do now, and changes nothing. */
export function planSweep(looker: Looker): Promise<SweepReport> {
  const silent: Silent = new Set();
  const context = { ...looker, host: askingOnce(looker.host, silent) };
  return sweepAll(withLoss(context, silent, looker.findLoss?.peek), {
    act: async () => {},
    forget: async () => {},
    restore: async () => {},
    slow: new Set(),
  });
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

async function sweepAll(context: Asked, how: Pick<Sweep, 'act' | 'forget' | 'restore' | 'slow'>): Promise<SweepReport> {
  const { host, journal, settings } = context;
  const { entries: all, problems: unread } = journal.read();
  const run: Sweep = { ...how, context, swept: [], restored: [], portless: [], problems: [...unread] };
  if (run.problems.length > 0) host.log.error({ problems: run.problems }, 'a part of the journal is left alone');
  const [hopeless, entries] = split(all, (entry) => isHopeless(entry, context.bootId));
  for (const { attachment } of hopeless) await sweepHopeless(run, attachment);
  const journaled = entries.map(({ attachment }) => attachment);
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
  tellOfPorts(run);
  const { swept, restored, problems, portless } = run;
  return { swept, restored, problems: [...problems, ...portless] };
}

/** One line for all of them, because there may be as many as pods. */
function tellOfPorts({ context, portless }: Sweep): void {
  const [first] = portless;
  if (first !== undefined) context.host.log.error({ count: portless.length, first }, 'attachments without their port');
}

/** It asks the database first. So when that is down, it waits once, and not for every attachment. */
async function sweepDatabase(run: Sweep, address: string, journaled: readonly Attachment[]): Promise<void> {
  const { context, slow } = run;
  await context.host.ovsdb(address).replica();
  const inOrder = journaled.toSorted((a, b) => Number(slow.has(a.id)) - Number(slow.has(b.id)));
  const groups = [...Map.groupBy(inOrder, ({ ipam }) => ipam?.type).values()];
  const sweepGroup = (group: readonly Attachment[]) =>
    forEachOf(group, width, (each) =>
      sweepOne(run, { attachment: each, others: journaled }, () => endOf(context, each, journaled)),
    );
  await forEachOf(groups, groups.length, sweepGroup);
  const strays = await findStrays(context, address);
  await forEachOf(strays, width, (each) => sweepOne(run, { attachment: each, others: [] }, () => endOfStray(context, each)));
}

/** Its database does not answer. So it is not swept with the others. */
async function sweepHopeless(run: Sweep, attachment: Attachment): Promise<void> {
  const why = `OVSDB server ${attachment.ovsdb}, which its network named at DEL, has not answered for an hour, and nothing shows that it was ever added`;
  const find = async () => (run.context.journal.has(attachment.id) ? { attachment, why } : undefined);
  await sweepOne({ ...run, act: run.forget }, { attachment, others: [] }, find);
}

/** An attachment that a request works on is passed over. */
async function sweepOne(
  run: Sweep,
  { attachment, others }: { readonly attachment: Attachment; readonly others: readonly Attachment[] },
  find: () => Promise<End>,
): Promise<void> {
  const { context, act, swept, slow } = run;
  const { host, lock } = context;
  const { id } = attachment;
  const began = performance.now();
  let end: End;
  const work = async (wanted: AbortSignal) => {
    try {
      end = await find();
      if (end === undefined) return await restoreLost(run, attachment, others);
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

/** For an attachment that lives. When its port can't be made again, this is a problem and not a failed sweep, because nothing is taken away. */
async function restoreLost(
  { context, restore, restored, portless }: Sweep,
  { id, ovsdb }: Attachment,
  others: readonly Attachment[],
): Promise<void> {
  const entry = context.journal.find(id);
  if (entry === undefined) return;
  const { attachment } = entry;
  const tell = (problem: string) => void portless.push(`${attachment.ifname} of container ${attachment.containerId}: ${problem}`);
  try {
    const lost = await findLostPort(context.host.ovsdb(ovsdb), entry);
    if (lost === undefined) return;
    if ('problem' in lost) return tell(lost.problem);
    const newer = others.some((each) => isNewer(each, attachment) && context.journal.find(each.id)?.phase === 'added');
    await restore(attachment, { port: lost.port, newer });
    restored.push(attachment);
  } catch (error) {
    tell(messageOf(error));
  }
}

function isNewer(one: Attachment, other: Attachment): boolean {
  return one.bootId === other.bootId && one.began > other.began && ifaceId(one) === ifaceId(other);
}

function split<T>(all: readonly T[], isFirst: (each: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [all.filter(isFirst), all.filter((each) => !isFirst(each))];
}
