// CHECK: is the attachment still as ADD left it? When something is only down, the answer is "try again" (11). Only proof counts as broken,
// because a runtime may take any other failure for a pod that is misconfigured for good (SPEC, CHECK).

import { checkIp } from '../host/netlink/pod-ip.ts';
import { type BridgePort, findPorts } from '../host/ovs/bridge.ts';
import { trunkVlans } from '../network/keys.ts';
import { cables } from '../vnic/index.ts';
import { attachmentId, findingIds, keyOf } from './attachment/attachment.ts';
import type { Context } from './attachment/context.ts';
import { ipamCall } from './attachment/plan.ts';
import { CniError, coded, codes } from './protocol/errors.ts';
import { ipamOptional } from './protocol/ipam.ts';
import type { Request } from './protocol/request.ts';
import { parseResult, type Result } from './protocol/result.ts';

export async function check(context: Context, request: Request): Promise<void> {
  const listed = prevResult(request);
  try {
    await checkAttachment(context, request, listed);
  } catch (error) {
    throw coded(error, codes.broken);
  }
  const ipam = ipamCall(context, request);
  if (ipam !== undefined) await ipamOptional(context.host, ipam, 'CHECK');
}

async function checkAttachment(
  { host, journal }: Context,
  { config, ifname, netns, containerId }: Request,
  listed: Result,
): Promise<void> {
  const key = keyOf({ config, containerId, ifname });
  const entry = journal.find(attachmentId(key));
  if (entry?.phase !== 'added')
    throw new Error(`${ifname} of container ${containerId} is not attached to network ${config.name}`);
  const { attachment, result } = entry;
  const index = listed.interfaces.findIndex(({ name, sandbox }) => name === ifname && sandbox !== undefined && sandbox !== '');
  const made = result?.interfaces.find(({ name, sandbox }) => name === ifname && sandbox !== undefined);
  if (index < 0 || made?.mac === undefined) throw new Error(`prevResult: does not list ${ifname} of this pod`);
  const cable = cables[attachment.vnicType];
  await cable.check(host, {
    ...attachment,
    netns,
    // A later plugin of the chain may have changed the MAC. Then the result says so.
    mac: listed.interfaces[index]?.mac?.toLowerCase() ?? made.mac,
    mtu: made.mtu ?? 1500,
    datapath: 'system',
  });
  // The addresses of prevResult, from whichever plugin of the chain. An address that names no interface is ours if we gave it.
  const given = (result?.ips ?? []).map(({ address }) => address);
  const addresses = listed.ips.filter((each) =>
    each.interface === undefined ? given.includes(each.address) : each.interface === index,
  );
  if (cable.takesIp(attachment)) await checkIp(host, { netns, ifname, addresses });
  // A VF without a representor is no port of a bridge.
  if (!result?.interfaces.some(({ sandbox }) => sandbox === undefined)) return;
  const [port] = await findPorts(host.ovsdb(attachment.ovsdb), findingIds(key));
  checkPort(port, attachment.bridge, config);
}

function checkPort(port: BridgePort | undefined, bridge: string, { vlan, trunk }: Request['config']): void {
  if (port === undefined) throw new Error(`the port is gone from bridge ${bridge}`);
  if (port.bridge !== bridge) throw new Error(`port ${port.name} is on bridge ${port.bridge}, not ${bridge}`);
  if (port.error !== undefined) throw new Error(`Open vSwitch says of port ${port.name}: ${port.error}`);
  if (port.ofport === undefined || port.ofport < 0) throw new Error(`port ${port.name} has no OpenFlow port number`);
  const trunks = trunk === undefined ? [] : trunkVlans(trunk);
  const tag = vlan ? vlan : undefined;
  // A tag that the configuration does not ask for may be an agent's (Neutron). A tag that it asks for must be there.
  if (tag !== undefined && port.vlan !== tag) throw new Error(`port ${port.name} has VLAN ${port.vlan ?? 'none'}, not ${tag}`);
  // A trunk without a list carries all VLANs.
  const [wanted, has] = [
    trunks === 'all' ? 'all' : trunks.join(),
    trunks === 'all' && port.trunk.length === 0 ? 'all' : port.trunk.join(),
  ];
  if (wanted !== '' && wanted !== has) throw new Error(`port ${port.name} has trunk ${has}, not ${wanted}`);
}

function prevResult({ config }: Request): Result {
  if (config.prevResult === undefined)
    throw new CniError(codes.invalidConfig, 'prevResult: is missing; CHECK needs the result of ADD');
  try {
    return parseResult(config.prevResult);
  } catch (error) {
    throw new CniError(codes.invalidConfig, `prevResult: ${coded(error).message}`, { cause: error });
  }
}
