// ADD, the same for every vnic type: decide everything, write the intent, make the cable, the port and the addresses, and commit.

import { defined } from '../host/base/defined.ts';
import { messageOf } from '../host/base/errors.ts';
import { openNetns, ownNetns, sameNetns } from '../host/kernel/netns.ts';
import { createBridge, findBridge, findPorts } from '../host/ovs/bridge.ts';
import { findDefaultMtu } from '../host/ovs/default-mtu.ts';
import type { Ovsdb } from '../host/ovs/ovsdb.ts';
import { annotationKey, chooseVnicType } from '../network/annotation.ts';
import { askedMac } from '../network/asked-mac.ts';
import { requireKeepable } from '../network/vf-port.ts';
import { withinBounds } from '../network/within-bounds.ts';
import { cables, type VnicType } from '../vnic/index.ts';
import { type Attachment, findingIds, owner } from './attachment/attachment.ts';
import { build } from './attachment/build.ts';
import { abandonable, type Context } from './attachment/context.ts';
import { checkDeviceInfoPath } from './attachment/device-info.ts';
import { ovsdbOf, type PlannedBridge, planAttachment, planPort } from './attachment/plan.ts';
import { claim } from './claim/claim.ts';
import { CniError, coded, codes } from './protocol/errors.ts';
import { addressesOf, requireInstalled } from './protocol/ipam.ts';
import type { Request } from './protocol/request.ts';
import { chainResult, parseResult, type Result } from './protocol/result.ts';
import { teardown } from './teardown/teardown.ts';

/** Milliseconds for undoing an ADD whose caller gave up. Its DEL comes next and must not wait long. What is left then stays in the journal. */
const undoTime = 5000;

/** Throws CniError. Then nothing is left but what the journal still names. @param signal - aborted when nobody wants the result any more. */
export async function add(patient: Context, asked: Request, signal: AbortSignal): Promise<Result> {
  const context = abandonable(patient, signal);
  const { host, journal } = context;
  const earlier = parsePrevResult(asked);
  checkNetns(asked);
  askedMac(asked.config, asked.args.mac);
  const type = await vnicTypeOf(context, asked);
  const cable = cables[type];
  const kind = cable.reserves(host.forwarder);
  const request = { ...asked, config: withinBounds(context.settings, { ...bounded(asked), reserves: kind }) };
  const db = host.ovsdb(ovsdbOf(context, request));
  const bridge = await bridgeFor(db, request);
  const planned = planAttachment(context, request, type);
  requireKeepable(request.config, type, kind === 'vf');
  if (planned.ipam !== undefined) await requireInstalled(planned.ipam);
  if (planned.deviceInfo !== undefined) checkDeviceInfoPath(planned.deviceInfo);
  await makeRoom(context, planned);
  const { mac } = planPort(request, planned, bridge);
  const attachment = kind === undefined ? planned : await claim(context, request, { planned, kind, mac });
  if (kind === undefined) await journal.begin(planned);
  host.step('intent written');
  const addresses = addressesOf(host, attachment.ipam);
  try {
    const port = planPort(request, attachment, bridge);
    const { result: ours, port: made } = await build(context, { request, attachment, cable, port, db, addresses });
    signal.throwIfAborted();
    journal.append(attachment.id, { phase: 'added', result: ours, ...defined({ port: made }) });
    host.step('committed');
    return earlier === undefined ? ours : chainResult(earlier, ours);
  } catch (error) {
    const undoing = signal.aborted ? abandonable(patient, AbortSignal.timeout(undoTime)) : patient;
    await teardown(undoing, attachment, addresses.debt).catch((undo: unknown) =>
      // Not the attachment itself: it holds the network's configuration, which may have an IPAM plugin's password in it.
      host.log.error({ id: attachment.id, containerId: attachment.containerId, error: messageOf(undo) }, 'undoing a failed ADD'),
    );
    throw coded(signal.aborted ? signal.reason : error, codes.plugFailed);
  }
}

function bounded({ config, args }: Request) {
  return { config, namespace: args.podNamespace ?? '' };
}

/** Go's skel checks this only after the plug. Checking before it is better for the machine and makes no difference to the runtime. */
function checkNetns(request: Request): void {
  using pod = openNetnsOf(request.netns);
  using own = ownNetns();
  if (!request.netnsOverride && sameNetns(pod, own)) {
    throw new CniError(
      codes.invalidNetns,
      `CNI_NETNS: ${request.netns} is the host's own network namespace; set CNI_NETNS_OVERRIDE=1 if that is meant`,
    );
  }
}

function openNetnsOf(path: string) {
  try {
    return openNetns(path);
  } catch (error) {
    throw new CniError(codes.badEnvironment, `CNI_NETNS: ${coded(error).message}`, { cause: error });
  }
}

async function vnicTypeOf({ pods, host }: Context, request: Request): Promise<VnicType> {
  const { podNamespace: namespace, podName: name, podUid: uid } = request.args;
  if (!pods.configured) host.log.debug('no API server is configured: the pod has no annotations');
  const annotations = namespace && name ? await pods.annotations({ namespace, name, uid }) : undefined;
  return chooseVnicType({ ifname: request.ifname, config: request.config, annotation: annotations?.[annotationKey] });
}

async function bridgeFor(db: Ovsdb, { config }: Request): Promise<PlannedBridge> {
  const bridge = await findBridge(db, config.bridge);
  if (bridge !== undefined)
    return { ...bridge, ...defined({ mtu: config.mtu ?? (await findDefaultMtu(db, config.bridge, owner)) }) };
  if (!config.createBridge) {
    throw new CniError(
      codes.invalidConfig,
      `bridge: there is no bridge "${config.bridge}" on ${db.address}; create it (ovs-vsctl add-br ${config.bridge}) or set "createBridge": true`,
    );
  }
  await createBridge(db, config.bridge);
  return { name: config.bridge, datapathType: 'system' };
}

/** Refuses a second ADD of a living attachment and touches nothing then. What a dead attachment left is cleared away first. */
async function makeRoom(context: Context, attachment: Attachment): Promise<void> {
  const { host, journal, bootId } = context;
  const entry = journal.find(attachment.id);
  const earlier = entry?.attachment;
  const living = entry?.phase === 'added' && earlier?.bootId === bootId && (await cables[earlier.vnicType].alive(host, earlier));
  if (living) {
    throw new CniError(
      codes.plugFailed,
      `${attachment.ifname} of container ${attachment.containerId} is attached to network ${attachment.network} already, since ${earlier?.since}; DEL it first`,
    );
  }
  const stray = entry === undefined && (await findPorts(host.ovsdb(attachment.ovsdb), findingIds(attachment))).length > 0;
  if (earlier !== undefined || stray) await teardown(context, earlier ?? attachment);
}

function parsePrevResult({ config: { prevResult } }: Request): Result | undefined {
  try {
    return prevResult === undefined ? undefined : parseResult(prevResult);
  } catch (error) {
    throw new CniError(codes.invalidConfig, `prevResult: ${coded(error).message}`, { cause: error });
  }
}
