// Gives an iface-id back to the port that had it before, when the ADD that took it over failed. After an ADD that worked, it is never given back:
// a pod's former sandbox is not used again, and on another node the pod may have the iface-id by then.
import { changeIds, findPorts } from '../../host/ovs/bridge.ts';
import { type Attachment, attachmentId, formerIds, givingBackIfaceId, ifaceId } from '../attachment/attachment.ts';
import type { Context } from '../attachment/context.ts';
import type { Entry } from '../attachment/entry.ts';

/** @param was - the journal's entry of the attachment before its teardown. */
export async function giveBackIfaceId({ host, journal }: Context, attachment: Attachment, was: Entry | undefined): Promise<void> {
  if (was === undefined || was.result !== undefined) return;
  const id = ifaceId(attachment);
  const db = host.ovsdb(attachment.ovsdb);
  const ports = (await findPorts(db, formerIds(id))).flatMap(({ externalIds }) => {
    const key = {
      network: externalIds['smartnic-network'] ?? '',
      containerId: externalIds['smartnic-container'] ?? '',
      ifname: externalIds['smartnic-ifname'] ?? '',
    };
    const entry = journal.find(attachmentId(key));
    return entry?.phase === 'added' && entry.attachment.bootId === attachment.bootId ? [entry.attachment] : [];
  });
  const newest = ports.toSorted((a, b) => b.began - a.began)[0];
  if (newest !== undefined) await changeIds(db, givingBackIfaceId(id, newest));
}
