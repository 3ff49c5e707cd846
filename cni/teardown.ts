// Taking an attachment away: one way for DEL, for a failed ADD, for GC and for the sweep. What is gone already is fine; every step is
// tried; what can't be done now stays in the journal, so that it is done later.
import { messageOf, Unavailable } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import { findPorts, removePorts } from '../host/ovs-bridge.ts';
import { vnics } from '../vnic/index.ts';
import { type Attachment, findingIds } from './attachment.ts';
import type { Context } from './context.ts';
import { coded, codes } from './errors.ts';
import { ipamDel } from './ipam.ts';

/**
 * Port, cable and addresses. An OVSDB that is down fails nothing: the port stays in the journal and goes when OVSDB is back.
 * Throws the first of the other failures, after everything was tried; the journal then keeps the attachment.
 */
export async function teardown(context: Context, attachment: Attachment): Promise<void> {
  const { host, journal } = context;
  const known = journal.find(attachment.id) !== undefined;
  if (known) journal.append(attachment.id, { phase: 'deleting' });
  host.step('deletion noted');
  const outcomes = await Promise.allSettled([removePort(host, attachment), releaseAddresses(host, attachment)]);
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  const [failure] = failures.filter((each) => !(each instanceof Unavailable));
  if (failures.length === 0) {
    journal.remove(attachment.id);
    host.step('journal cleared');
    return;
  }
  if (!known) await journal.begin(attachment);
  if (!known) journal.append(attachment.id, { phase: 'deleting' });
  for (const each of failures)
    host.log.warn({ id: attachment.id, error: messageOf(each) }, 'kept in the journal, to be taken away later');
  if (failure !== undefined) throw coded(failure, codes.plugFailed);
}

/** The bridge first, so that vswitchd does not see its port lose the device. The cable goes in any case. */
async function removePort(host: Host, attachment: Attachment): Promise<void> {
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
  await vnics[attachment.vnicType]?.unplug(host, attachment);
  host.step('cable removed');
  if (failure !== undefined) throw failure;
}

async function releaseAddresses(host: Host, { ipam }: Attachment): Promise<void> {
  if (ipam === undefined) return;
  await ipamDel(host, ipam);
  host.step('addresses released');
}
