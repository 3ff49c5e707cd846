// GC: takes away what the runtime no longer knows, of this network and of ours only. The key absent says nothing about what is valid,
// so then only what is proven dead goes; an empty list says that nothing is.
import { findPorts } from '../host/ovs-bridge.ts';
import { type Attachment, attachmentId, bridgePortName, lockKey, owner } from './attachment.ts';
import type { Context } from './context.ts';
import { ipamOptional } from './ipam.ts';
import { ipamCall, ovsdbOf } from './plan.ts';
import type { Request } from './request.ts';
import { isDead } from './sweep.ts';
import { teardown } from './teardown.ts';

/** Tries everything, then throws the first failure. */
export async function gc(context: Context, request: Request): Promise<void> {
  const valid = request.config['cni.dev/valid-attachments'];
  const ids = valid?.map(({ containerID, ifname }) =>
    attachmentId({ network: request.config.name, containerId: containerID, ifname }),
  );
  const failures: unknown[] = [];
  for (const attachment of await ours(context, request)) {
    const work = async () => {
      const stale = ids === undefined ? await isDead(context, attachment) : !ids.includes(attachment.id);
      if (stale) await teardown(context, attachment);
    };
    await context.lock(lockKey(attachment), work).catch((error: unknown) => failures.push(error));
  }
  const ipam = ipamCall(context, request);
  if (ipam !== undefined) await ipamOptional(context.host, ipam, 'GC').catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** What the journal knows of this network, and ports of ours on it that no journal knows. */
async function ours(context: Context, request: Request): Promise<readonly Attachment[]> {
  const network = request.config.name;
  const journaled = (await context.journal.list()).map(({ attachment }) => attachment).filter((each) => each.network === network);
  const ovsdb = ovsdbOf(context, request);
  const ports = await findPorts(context.host.ovsdb(ovsdb), { owner, 'smartnic-network': network });
  const strays = ports.map(({ bridge, externalIds }): Attachment => {
    const key = { network, containerId: externalIds['smartnic-container'] ?? '', ifname: externalIds['smartnic-ifname'] ?? '' };
    const id = attachmentId(key);
    const since = new Date().toISOString();
    return {
      ...key,
      id,
      bridgePort: bridgePortName(id),
      vnicType: 'normal',
      ovsdb,
      bridge,
      netns: '',
      pod: {},
      bootId: context.bootId,
      since,
    };
  });
  const known = new Set(journaled.map(({ id }) => id));
  return [...journaled, ...strays.filter(({ id }) => !known.has(id))];
}
