// Takes an attachment away, in the same way for DEL, a failed ADD, GC and the sweep. What is gone already is fine. Every step is tried. What
// can't be done now stays in the journal and is done later.
import { defined } from '../../host/base/defined.ts';
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import type { Host } from '../../host/host.ts';
import { endQuarantine, findQuarantine, quarantine, quarantineDir } from '../../host/nic/quarantine.ts';
import { findPorts, removePorts } from '../../host/ovs/bridge.ts';
import { cables } from '../../vnic/index.ts';
import { type Attachment, findingIds } from '../attachment/attachment.ts';
import type { Context } from '../attachment/context.ts';
import { removeDeviceInfo } from '../attachment/device-info.ts';
import type { Entry, Part } from '../attachment/entry.ts';
import { callHooks } from '../attachment/hook-calls.ts';
import { asLastWork, owns } from '../attachment/owner.ts';
import { coded, codes } from '../protocol/errors.ts';
import { type IpamDebt, ipamDel, needsInterface } from '../protocol/ipam.ts';
import { giveBackIfaceId } from './former-port.ts';

/** A part that could not be removed, and why. */
interface Failure {
  readonly part: Part;
  readonly error: unknown;
}

/**
 * Removes port, cable and addresses. An OVSDB that is down is no failure: the port stays in the journal and is removed when OVSDB is back.
 * Throws the first of the other failures after it has tried everything. The journal then keeps the attachment.
 * @param ipam - what the IPAM plugin may have given. A plugin that refused is told, but its answer does not matter.
 */
export async function teardown(context: Context, attachment: Attachment, ipam: IpamDebt = 'owed'): Promise<void> {
  const { host, journal } = context;
  const known = journal.has(attachment.id);
  const was = entryBefore(context, attachment);
  if (known) note(context, attachment);
  host.step('deletion noted');
  const failures = await takeAway(context, attachment, was, was?.left?.includes('addresses') === false ? 'not asked' : ipam);
  if (failures.length === 0) return clear(context, attachment);
  if (!known) await journal.begin(attachment);
  note(context, attachment, [...new Set(failures.map(({ part }) => part))]);
  for (const { part, error } of failures)
    host.log.warn({ id: attachment.id, part, error: messageOf(error) }, 'kept in the journal, to be taken away later');
  const failure = failures.find(({ error }) => !(error instanceof Unavailable));
  if (failure !== undefined) throw coded(failure.error, codes.plugFailed);
}

/** Undefined when there is none, or when the journal can't be read. */
function entryBefore({ journal }: Context, { id }: Attachment): Entry | undefined {
  try {
    return journal.find(id);
  } catch (error) {
    if (error instanceof Unavailable) return undefined;
    throw error;
  }
}

/** When the journal can't be written (a full or read-only disk), everything is removed all the same. */
function note({ host, journal }: Context, { id }: Attachment, left?: readonly Part[]): void {
  try {
    journal.append(id, { phase: 'deleting', ...defined({ left }) });
  } catch (error) {
    host.log.warn({ id, error: messageOf(error) }, "the deletion can't be noted in the journal; going on");
  }
}

/** Only the entry is left. For the runtime that is success. A sweep removes it when the disk works again. */
function clear({ host, journal }: Context, { id }: Attachment): void {
  try {
    journal.remove(id);
    host.step('journal cleared');
  } catch (error) {
    host.log.error(
      { id, error: messageOf(error) },
      "all is taken away, but its journal entry can't be removed; a sweep tries it again",
    );
  }
}

/** Tries everything. @returns what failed. */
async function takeAway(
  context: Context,
  attachment: Attachment,
  was: Entry | undefined,
  ipam: IpamDebt,
): Promise<readonly Failure[]> {
  const failures: Failure[] = [];
  const tries = async (part: Part, work: Promise<void>) =>
    await work.catch((error: unknown) => void failures.push({ part, error }));
  // If there is a newer owner, hooks would undo its work. So they don't run.
  const hooked = isOwner(context, attachment);
  if (hooked) await tries('hooks', callHooks(context, 'before-unplug', attachment));
  const giveBack = () => tries('addresses', releaseAddresses(context.host, attachment, ipam));
  // The bridge comes first, so that ovs-vswitchd does not see its port lose the device. The cable is removed in any case.
  const unplug = async () => {
    await tries(
      'port',
      removePort(context, attachment).then(() => giveBackIfaceId(context, attachment, was)),
    );
    await tries(
      'cable',
      removeCable(context, attachment).then(() => context.host.step('cable removed')),
    );
  };
  // This is the reverse order of ADD. A lease may be given back through the interface.
  if (attachment.ipam !== undefined && needsInterface(attachment.ipam)) await giveBack().then(unplug);
  else await Promise.all([unplug(), giveBack()]);
  if (hooked) await tries('hooks', callHooks(context, 'after-unplug', attachment));
  await tries('device-info', removeInfo(context.host, attachment));
  return failures;
}

/** False when the owner can't be found out. Then nothing is touched, and removing the cable says why. */
function isOwner(context: Context, attachment: Attachment): boolean {
  try {
    return owns(context, attachment);
  } catch (error) {
    if (error instanceof Unavailable) return false;
    throw error;
  }
}

async function removeInfo(host: Host, attachment: Attachment): Promise<void> {
  if (attachment.reserved !== undefined && attachment.deviceInfo !== undefined) removeDeviceInfo(host, attachment.deviceInfo);
}

async function removePort({ host, removePorts: remove = removePorts }: Context, attachment: Attachment): Promise<void> {
  const db = host.ovsdb(attachment.ovsdb);
  const ports = await findPorts(db, findingIds(attachment));
  if (ports.length > 0)
    await remove(
      db,
      ports.map(({ name }) => name),
    );
  host.step('port removed');
}

async function removeCable(context: Context, attachment: Attachment): Promise<void> {
  const { host, bootId } = context;
  const { id, reserved } = attachment;
  const unplug = async () => await cables[attachment.vnicType].unplug(host, attachment);
  if (reserved === undefined) return await unplug();
  // After a reboot, a VF is as the machine's own start-up made it. Its earlier state does not matter any more.
  const reset = attachment.bootId === bootId ? unplug : async () => {};
  const outcome = await asLastWork(
    context,
    attachment,
    async () =>
      await reset().catch((error) => {
        if (reserved.kind !== 'vf') throw error;
        setAside(host, reserved.id, error);
      }),
  );
  if (outcome !== 'done')
    host.log.info({ id, reserved: reserved.id, now: outcome }, 'it has another owner by now and is left alone');
  else if (reserved.kind === 'vf') endQuarantine(host, reserved.id);
}

/** Reports it once. The pod need not wait until a person repairs the VF. */
function setAside(host: Host, address: string, error: unknown): never {
  if (error instanceof Unavailable) throw error;
  const before = findQuarantine(host, address) !== undefined;
  quarantine(host, address, messageOf(error));
  const what = `VF ${address} could not be put back as it was and is in quarantine (${quarantineDir}/${address}): ${messageOf(error)}`;
  throw before ? new Unavailable(what, { cause: error }) : new Error(what, { cause: error });
}

async function releaseAddresses(host: Host, { id, ipam }: Attachment, debt: IpamDebt): Promise<void> {
  if (ipam === undefined || debt === 'not asked') return;
  try {
    await ipamDel(host, ipam);
    host.step('addresses released');
  } catch (error) {
    if (debt === 'owed') throw error;
    host.log.warn({ id, error: messageOf(error) }, 'the IPAM plugin refused the address and its return: nothing is owed to it');
  }
}
