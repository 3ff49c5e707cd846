// The attachment's port on its bridge: made by ADD, and made again when it was lost with its bridge. The journal keeps all that this needs.
import { isDeepStrictEqual } from 'node:util';
import { defined } from '../../host/base/defined.ts';
import { type Bridge, findBridge, findPorts, type NewPort, putBackPort } from '../../host/ovs/bridge.ts';
import type { Ovsdb } from '../../host/ovs/ovsdb.ts';
import { type NetworkConfig, trunkVlans } from '../../network/keys.ts';
import { type Attachment, findingIds, hasPort, ifaceId, superseded, takingIfaceId } from './attachment.ts';

/** The port as ADD made it. `trunk` stays as the network has it, because as a list of VLANs it may take 20 KB. */
export interface PortRecord extends Omit<NewPort, 'bridge' | 'trunk' | 'others'> {
  readonly trunk?: NonNullable<NetworkConfig['trunk']>;
  /** The bridge's `datapath_type` for which the cable was made. */
  readonly datapath: string;
}

/** What Open vSwitch is asked for. */
export function newPort(attachment: Attachment, { datapath: _, trunk, ...same }: PortRecord): NewPort {
  const others = takingIfaceId(ifaceId(attachment));
  return { bridge: attachment.bridge, ...same, others, ...(trunk === undefined ? {} : { trunk: trunkVlans(trunk) }) };
}

/** The part of a journal entry that tells of the port. */
export interface Noted {
  readonly attachment: Attachment;
  readonly phase: string;
  readonly port?: PortRecord;
}

/** A port that a finished attachment lacks. Either it can be made again, or `problem` says why not. */
export type LostPort = { readonly port: PortRecord } | { readonly problem: string };

/**
 * Undefined while the port is there, while its bridge is away, and for an attachment that has no port.
 * @throws Unavailable when OVSDB does not answer.
 */
export async function findLostPort(db: Ovsdb, { attachment, phase, port }: Noted): Promise<LostPort | undefined> {
  if (phase !== 'added' || !hasPort(attachment) || (await isThere(db, attachment))) return undefined;
  const bridge = await findBridge(db, attachment.bridge);
  if (bridge === undefined) return undefined;
  const problem = port === undefined ? tooOld : misfit(bridge, port);
  if (problem !== undefined)
    return { problem: `its port ${attachment.bridgePort} is gone from bridge ${bridge.name}, and ${problem}` };
  return port && { port };
}

const tooOld =
  'its journal entry is of an older smartnic, which did not note how to make it again; delete the pod, so that it is plugged anew';

function misfit({ datapathType }: Bridge, { datapath }: PortRecord): string | undefined {
  if (datapathType === datapath) return undefined;
  return `it was made for datapath_type ${datapath}, but the bridge has ${datapathType} now; change that back, or delete the pod, so that it is plugged anew`;
}

/**
 * Does not wait for ovs-vswitchd. Whether that took the port is what CHECK and `attachments` look at.
 * @param newer - whether a newer sandbox of the pod lives here. Then that one has the iface-id. @throws like addPort.
 */
export async function restorePort(db: Ovsdb, attachment: Attachment, { port, newer }: { port: PortRecord; newer: boolean }) {
  const { others, ...rest } = newPort(attachment, port);
  await putBackPort(db, newer ? { ...rest, externalIds: superseded(port.externalIds) } : { ...rest, ...defined({ others }) });
}

/** The look by name is quick. An attachment's port may have another name when somebody made it by hand. */
async function isThere(db: Ovsdb, attachment: Attachment): Promise<boolean> {
  const ids = findingIds(attachment);
  const known = (await db.replica()).interface(attachment.bridgePort)?.external_ids;
  const same =
    known !== undefined &&
    isDeepStrictEqual(
      Object.keys(ids).map((key) => known.get(key)),
      Object.values(ids),
    );
  return same || (await findPorts(db, ids)).length > 0;
}
