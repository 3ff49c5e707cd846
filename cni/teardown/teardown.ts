// Taking an attachment away: one way for DEL, for a failed ADD, for GC and for the sweep. What is gone already is fine; every step is
// tried; what can't be done now stays in the journal, so that it is done later.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import type { Host } from '../../host/host.ts';
import { endQuarantine, findQuarantine, quarantine, quarantineDir } from '../../host/nic/quarantine.ts';
import { findPorts, removePorts } from '../../host/ovs/bridge.ts';
import { cables } from '../../vnic/index.ts';
import { type Attachment, findingIds } from '../attachment/attachment.ts';
import type { Context } from '../attachment/context.ts';
import { removeDeviceInfo } from '../attachment/device-info.ts';
import { callHooks } from '../attachment/hook-calls.ts';
import { asLastWork, owns } from '../attachment/owner.ts';
import { coded, codes } from '../protocol/errors.ts';
import { ipamDel } from '../protocol/ipam.ts';

/**
 * Port, cable and addresses. An OVSDB that is down fails nothing: the port stays in the journal and goes when OVSDB is back.
 * Throws the first of the other failures, after everything was tried; the journal then keeps the attachment.
 */
export async function teardown(context: Context, attachment: Attachment): Promise<void> {
  const { host, journal } = context;
  const known = journal.has(attachment.id);
  if (known) note(context, attachment);
  host.step('deletion noted');
  const failures = await takeAway(context, attachment);
  const [failure] = failures.filter((each) => !(each instanceof Unavailable));
  if (failures.length === 0) return clear(context, attachment);
  if (!known) await journal.begin(attachment);
  if (!known) journal.append(attachment.id, { phase: 'deleting' });
  for (const each of failures)
    host.log.warn({ id: attachment.id, error: messageOf(each) }, 'kept in the journal, to be taken away later');
  if (failure !== undefined) throw coded(failure, codes.plugFailed);
}

/** Whatever keeps the journal from being written (a full disk, a read-only one) keeps nothing from being taken away. */
function note({ host, journal }: Context, { id }: Attachment): void {
  try {
    journal.append(id, { phase: 'deleting' });
  } catch (error) {
    host.log.warn({ id, error: messageOf(error) }, "the deletion can't be noted in the journal; going on");
  }
}

/** Nothing is left but the entry: for the runtime that is success, and a sweep clears it when the disk is well again. */
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

/** @returns what failed; everything is tried. */
async function takeAway(context: Context, attachment: Attachment): Promise<readonly unknown[]> {
  const failures: unknown[] = [];
  const remember = (error: unknown) => void failures.push(error);
  // What hooks would undo is the newer owner's by then.
  const hooked = owns(context, attachment);
  if (hooked) await callHooks(context, 'before-unplug', attachment).catch(remember);
  await Promise.all([
    removePort(context, attachment).catch(remember),
    releaseAddresses(context.host, attachment).catch(remember),
  ]);
  if (hooked) await callHooks(context, 'after-unplug', attachment).catch(remember);
  await removeInfo(context.host, attachment).catch(remember);
  return failures;
}

async function removeInfo(host: Host, attachment: Attachment): Promise<void> {
  if (attachment.reserved !== undefined && attachment.deviceInfo !== undefined) removeDeviceInfo(host, attachment.deviceInfo);
}

/** The bridge first, so that vswitchd does not see its port lose the device. The cable goes in any case. */
async function removePort(context: Context, attachment: Attachment): Promise<void> {
  const { host } = context;
  let failure: unknown;
  try {
    const db = host.ovsdb(attachment.ovsdb);
    const ports = await findPorts(db, findingIds(attachment));
    if (ports.length > 0)
      await removePorts(
        db,
        ports.map(({ name }) => name),
      );
    host.step('port removed');
  } catch (error) {
    failure = error;
  }
  await removeCable(context, attachment);
  host.step('cable removed');
  if (failure !== undefined) throw failure;
}

async function removeCable(context: Context, attachment: Attachment): Promise<void> {
  const { host, bootId } = context;
  const { id, reserved } = attachment;
  const unplug = async () => await cables[attachment.vnicType].unplug(host, attachment);
  if (reserved === undefined) return await unplug();
  // After a reboot a VF is as the machine's own start-up made it; what it was before is of no interest any more.
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

/** Says so once; the pod need not wait for a person to repair the vf. */
function setAside(host: Host, address: string, error: unknown): never {
  if (error instanceof Unavailable) throw error;
  const before = findQuarantine(host, address) !== undefined;
  quarantine(host, address, messageOf(error));
  const what = `VF ${address} could not be put back as it was and is in quarantine (${quarantineDir}/${address}): ${messageOf(error)}`;
  throw before ? new Unavailable(what, { cause: error }) : new Error(what, { cause: error });
}

async function releaseAddresses(host: Host, { ipam }: Attachment): Promise<void> {
  if (ipam === undefined) return;
  await ipamDel(host, ipam);
  host.step('addresses released');
}
