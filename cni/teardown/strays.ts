// Ports of ours that no journal knows, because its files were lost: found by their external_ids, in the shape that teardown takes.
import { findPorts } from '../../host/ovs/bridge.ts';
import type { VnicType } from '../../vnic/types.ts';
import { type Attachment, attachmentId, owner } from '../attachment/attachment.ts';
import type { Context } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';

/** Of all networks, or of one. Unavailable when OVSDB is down. */
export async function findStrays(
  { host, journal, bootId }: Pick<Context, 'host' | 'bootId'> & { readonly journal: JournalView },
  ovsdb: string,
  network?: string,
): Promise<readonly Attachment[]> {
  const match = network === undefined ? { owner } : { owner, 'smartnic-network': network };
  const strays: Attachment[] = [];
  for (const { bridge, name, externalIds } of await findPorts(host.ovsdb(ovsdb), match)) {
    const [on, containerId, ifname] = ['network', 'container', 'ifname'].map((key) => externalIds[`smartnic-${key}`]);
    // Not as we make them: somebody copied our mark, and teardown would not find the port again.
    if (!on || !containerId || !ifname) continue;
    const key = { network: on, containerId, ifname };
    const id = attachmentId(key);
    if (journal.has(id)) continue;
    strays.push({
      ...key,
      id,
      bridgePort: name,
      vnicType: typeOf(externalIds),
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

/** As far as it matters: a vf and a slot prove no pod dead, a veth that is gone does. */
function typeOf(externalIds: Readonly<Record<string, string>>): VnicType {
  if (externalIds['smartnic-slot'] !== undefined) return 'virtio-forwarder';
  return externalIds['smartnic-pci'] === undefined ? 'normal' : 'direct';
}
