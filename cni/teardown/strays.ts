// Finds ports of ours that no journal entry names because files were lost. They are found by external_ids, in the shape that teardown takes.
import { findPorts } from '../../host/ovs/bridge.ts';
import { isVnicType } from '../../vnic/index.ts';
import { type Attachment, attachmentId, owner, typeKey } from '../attachment/attachment.ts';
import type { Context } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';

/**
 * Looks in all networks, or in one. A remote database is not this machine: its ports may be another node's, so nothing is a stray there, and a DEL
 * finds them by their own ids. Throws Unavailable when OVSDB is down.
 */
export async function findStrays(
  { host, journal, bootId }: Pick<Context, 'host' | 'bootId'> & { readonly journal: JournalView },
  ovsdb: string,
  network?: string,
): Promise<readonly Attachment[]> {
  if (!ovsdb.startsWith('unix:')) return [];
  const match = network === undefined ? { owner } : { owner, 'smartnic-network': network };
  const strays: Attachment[] = [];
  for (const { bridge, name, externalIds } of await findPorts(host.ovsdb(ovsdb), match)) {
    const [on, containerId, ifname] = ['network', 'container', 'ifname'].map((key) => externalIds[`smartnic-${key}`]);
    const vnicType = externalIds[typeKey];
    // We don't make such ports. Somebody copied our mark, or a newer version has types that we don't know. Teardown would not find all of it.
    if (!on || !containerId || !ifname || !isVnicType(vnicType)) continue;
    const key = { network: on, containerId, ifname };
    const id = attachmentId(key);
    if (journal.has(id)) continue;
    strays.push({
      ...key,
      id,
      bridgePort: name,
      vnicType,
      ovsdb,
      bridge,
      netns: '',
      pod: {},
      bootId,
      since: new Date().toISOString(),
      began: 0,
    });
  }
  return strays;
}
