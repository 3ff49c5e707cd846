// Makes the VF or slot that kubelet reserved for the pod this attachment's own, and writes the intent. The order is: kubelet's word, the end of
// the former owner, the generation, and the VF's present state. Nothing is changed on a VF here.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import { lockWithin } from '../../host/base/lock.ts';
import { findQuarantine } from '../../host/nic/quarantine.ts';
import { locateVf, type VfPlace } from '../../host/nic/vf-place.ts';
import { findPorts, removePorts } from '../../host/ovs/bridge.ts';
import { vfSettings } from '../../network/vf-port.ts';
import { vfDrivers } from '../../vnic/drivers.ts';
import type { Reserved } from '../../vnic/port.ts';
import { planVf } from '../../vnic/vf.ts';
import { type Attachment, hasPort, lockKey, owner, reservedKeys } from '../attachment/attachment.ts';
import { abandonable, type Context } from '../attachment/context.ts';
import { askRepresentor } from '../attachment/hook-calls.ts';
import { findOwnership, takeOwnership } from '../attachment/owner.ts';
import { CniError, coded, codes } from '../protocol/errors.ts';
import type { Request } from '../protocol/request.ts';
import { teardown } from '../teardown/teardown.ts';
import { nameOf, otherHolder, reservedDevice } from './reservation.ts';

/** Milliseconds to wait for work on the former owner that is in progress. */
const patience = 60_000;
/** Milliseconds for those parts of the former owner that are not the device. */
const undoTime = 5000;

export interface Claim {
  readonly planned: Attachment;
  readonly kind: Reserved['kind'];
  /** The port's MAC. */
  readonly mac: string;
}

/** @returns the attachment as the journal has it now. @throws CniError, with code 11 while somebody else has what is reserved. */
export async function claim(context: Context, request: Request, wanted: Claim): Promise<Attachment> {
  try {
    // The interfaces of a pod take turns, so that no two of them choose the same device.
    return await context.lock(`claims of\0${wanted.planned.containerId}`, () => claimAlone(context, request, wanted));
  } catch (error) {
    throw coded(error, codes.plugFailed);
  }
}

async function claimAlone(context: Context, request: Request, { planned, kind, mac }: Claim): Promise<Attachment> {
  const { journal } = context;
  const siblings = journal
    .list()
    .map(({ attachment }) => attachment)
    .filter(({ containerId, id }) => containerId === planned.containerId && id !== planned.id);
  const taken = new Map(
    siblings.flatMap(({ reserved, ifname }) => (reserved === undefined ? [] : [[reserved.id, ifname] as const])),
  );
  const id = await reservedDevice(context, request, { type: planned.vnicType, kind, taken });
  const generation = await takeOver(context, planned, id);
  context.host.step('device claimed');
  const ours = { planned, id, generation, mac };
  const attachment = kind === 'slot' ? { ...planned, reserved: { kind, id, generation } } : await withVf(context, request, ours);
  await removeStrays(context, attachment);
  await journal.begin(attachment);
  return attachment;
}

/** Resolves with our generation. */
async function takeOver(context: Context, planned: Attachment, id: string): Promise<number> {
  for (let tries = 1; tries <= 3; tries++) {
    const { owner: former } = findOwnership(context, id);
    if (former !== undefined && former !== planned.id) await endFormer(context, former, { planned, id });
    // An owner that the journal does not know never reached its first change.
    const left = findOwnership(context, id).owner;
    const expected = left === undefined || context.journal.find(left) === undefined ? left : undefined;
    const generation = await takeOwnership(context, id, { attachment: planned.id, expected });
    if (generation !== undefined) return generation;
  }
  throw new Unavailable(
    `${nameOf(id)}: its former owner is not torn down yet (smartnic's log says why); it is done again by and by`,
  );
}

async function endFormer(context: Context, owner: string, { planned, id }: Pick<Ours, 'planned' | 'id'>): Promise<void> {
  const { journal, bootId } = context;
  const former = journal.find(owner)?.attachment;
  if (former === undefined) return;
  const end = async () => {
    const entry = journal.find(owner);
    if (entry === undefined) return;
    const living = entry.phase === 'added' && entry.attachment.bootId === bootId;
    const holder = living ? await otherHolder(context, id, planned.pod) : undefined;
    if (holder !== undefined) throw new Unavailable(`${nameOf(id)}: kubelet says that pod ${holder} has it too`);
    context.host.log.info({ reserved: id, former: owner, by: planned.id }, 'ending the attachment that had it before');
    await endWithin(context, entry.attachment, id);
  };
  if (lockKey(former) === lockKey(planned)) return await end();
  await lockWithin(
    context.lock,
    {
      key: lockKey(former),
      what: `${nameOf(id)}: work on its former owner, ${former.ifname} of container ${former.containerId}`,
      patience,
      signal: context.signal,
    },
    end,
  );
}

/** An IPAM plugin that hangs or fails must not keep the device from its next pod. The sweep does later what is left. */
async function endWithin(context: Context, former: Attachment, id: string): Promise<void> {
  await teardown(abandonable(context, AbortSignal.timeout(undoTime)), former).catch((error: unknown) => {
    if (findOwnership(context, id).owner === former.id) throw error;
    context.host.log.warn({ id: former.id, error: messageOf(error) }, 'a former owner is not torn down yet, but has let go');
  });
}

interface Ours {
  readonly planned: Attachment;
  /** The id of the VF or slot. */
  readonly id: string;
  readonly generation: number;
  readonly mac: string;
}

async function withVf(context: Context, request: Request, { planned, id: address, generation, mac }: Ours): Promise<Attachment> {
  const { host, settings } = context;
  const reason = findQuarantine(host, address);
  if (reason !== undefined) {
    throw new CniError(
      codes.plugFailed,
      `VF ${address} is in quarantine: ${reason}; reset it (unbind and bind its driver), then remove /var/lib/smartnic/quarantine/${address}`,
    );
  }
  const place = await locateVf(host, address);
  if (place === undefined) {
    throw new CniError(
      codes.plugFailed,
      `${address}: kubelet allocated it, but there is no such VF on this machine; were VFs removed (sriov_numvfs)?`,
    );
  }
  const representor = await representorOf(context, request, planned, place);
  const vf = await planVf(host, place, {
    driver: request.config.driver ?? vfDrivers[0],
    settings: vfSettings(request.config, mac),
    noiommu: settings.allowNoiommu,
    ...(representor === undefined ? {} : { representor }),
  });
  return { ...planned, bridgePort: representor ?? planned.bridgePort, reserved: { ...vf, generation } };
}

async function representorOf(
  context: Context,
  { config }: Request,
  planned: Attachment,
  place: VfPlace,
): Promise<string | undefined> {
  const { vf, pf, eswitchMode, representor } = place;
  const refuse = (why: string) => new CniError(codes.invalidConfig, `representor: "${config.representor}": ${why}`);
  switch (config.representor) {
    case 'none':
      if (eswitchMode !== 'switchdev') return undefined;
      throw refuse(
        `PF ${pf} is in switchdev mode, where a VF without its representor on a bridge reaches nobody; leave the key out`,
      );
    case 'hook':
      return await askRepresentor(context, planned, place);
    case 'auto':
      if (representor !== undefined) return representor;
      throw eswitchMode === 'switchdev'
        ? refuse(
            `no netdev here stands for VF ${vf.index} of PF ${pf} (${vf.address}), though the PF is in switchdev mode; look at devlink port show`,
          )
        : refuse(
            `PF ${pf} is not in switchdev mode, so VF ${vf.address} has no representor for bridge ${config.bridge}; switch it (devlink dev eswitch set ` +
              `pci/${pf} mode switchdev), or write "representor": "none" for legacy SR-IOV without a port of the bridge`,
          );
  }
}

/** Removes our own ports for the same VF or slot whose attachment no file knows any more. */
async function removeStrays({ host }: Context, attachment: Attachment): Promise<void> {
  const { reserved } = attachment;
  if (reserved === undefined || !hasPort(attachment)) return;
  const db = host.ovsdb(attachment.ovsdb);
  const strays = await findPorts(db, { owner, [reservedKeys[reserved.kind]]: reserved.id });
  if (strays.length > 0)
    await removePorts(
      db,
      strays.map(({ name }) => name),
    );
}
