// What ADD makes after everything is decided and the intent is written: the cable, its port on the bridge, the addresses.
import { defined } from '../../host/base/defined.ts';
import type { Host } from '../../host/host.ts';
import { configureIp } from '../../host/netlink/pod-ip.ts';
import { addPort } from '../../host/ovs/bridge.ts';
import type { Ovsdb } from '../../host/ovs/ovsdb.ts';
import type { End, Port } from '../../vnic/port.ts';
import type { Cable } from '../../vnic/vnic.ts';
import { CniError, codes } from '../protocol/errors.ts';
import { type Addresses, needsInterface } from '../protocol/ipam.ts';
import type { Request } from '../protocol/request.ts';
import type { Result } from '../protocol/result.ts';
import { type Attachment, externalIds } from './attachment.ts';
import { newPort, type PortRecord } from './bridge-port.ts';
import type { Context } from './context.ts';
import { writeDeviceInfo } from './device-info.ts';
import { callHooks } from './hook-calls.ts';

export interface Job {
  readonly request: Request;
  readonly attachment: Attachment;
  readonly cable: Cable;
  readonly port: Port;
  readonly db: Ovsdb;
  readonly addresses: Addresses;
}

export interface Built {
  readonly result: Result;
  /** Absent when the cable has no end on a bridge. */
  readonly port?: PortRecord;
}

/** When it throws, the caller removes what was made. */
export async function build(context: Context, job: Job): Promise<Built> {
  const { host } = context;
  const { request, attachment, cable, port } = job;
  const { config } = request;
  await callHooks(context, 'before-plug', attachment, { mac: port.mac, mtu: port.mtu });
  const [end, ip] = await plugAndAsk(context, job);
  requireMtuFor(ip, port, attachment);
  if (cable.takesIp(port) && ip.ips.length > 0) {
    await configureIp(host, { netns: port.netns, ifname: port.ifname, addresses: ip.ips, routes: ip.routes });
    host.step('addresses set');
  }
  writeDeviceInfo(host, attachment);
  await callHooks(context, 'after-plug', attachment, { mac: port.mac, mtu: port.mtu });
  const dns = Object.values(ip.dns).some((each) => each !== undefined && each.length > 0)
    ? ip.dns
    : (config.runtimeConfig?.dns ?? config.dns ?? {});
  const result = {
    interfaces: [...(end.bridge ? [{ name: end.bridge.port, mac: end.bridge.mac }] : []), { ...end.pod, sandbox: request.netns }],
    ips: ip.ips.map((each) => ({ ...each, interface: end.bridge ? 1 : 0 })),
    routes: ip.routes,
    dns,
  };
  return { result, ...defined({ port: recordOf(end, job) }) };
}

/** If IPAM may ask through the interface, the interface is made first. Otherwise both are done at the same time, and both are waited for. */
async function plugAndAsk({ host, settings }: Context, job: Job): Promise<readonly [End, Result]> {
  const { attachment, addresses } = job;
  const timeout = settings.portTimeout * 1000;
  if (attachment.ipam !== undefined && needsInterface(attachment.ipam)) {
    const end = await plugIntoBridge(host, job, timeout);
    return [end, await addresses.ask()];
  }
  const [plugged, given] = await Promise.allSettled([plugIntoBridge(host, job, timeout), addresses.ask()]);
  if (plugged.status === 'rejected') throw plugged.reason;
  if (given.status === 'rejected') throw given.reason;
  return [plugged.value, given.value];
}

/** On a smaller link the kernel has no IPv6 (RFC 8200, section 5), and it only says ENOENT. */
const leastForV6 = 1280;

function requireMtuFor({ ips }: Result, { mtu }: Port, { ipam }: Attachment): void {
  const v6 = ips.find(({ address }) => address.includes(':'))?.address;
  if (v6 === undefined || mtu >= leastForV6) return;
  throw new CniError(
    codes.invalidConfig,
    `mtu: ${mtu} is below ${leastForV6}, the least that IPv6 works with, but IPAM plugin ${ipam?.type} gave ${v6}; raise the network's "mtu", or ` +
      'the "mtu_request" of its bridge, or give no IPv6 addresses',
  );
}

async function plugIntoBridge(host: Host, job: Job, timeoutMs: number): Promise<End> {
  const end = await job.cable.plug(host, job.port);
  // It waits for both, so that no work is still going on when a failure is undone.
  const outcomes = await Promise.allSettled([addBridgeEnd(host, end, job, timeoutMs), end.finish?.()]);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return end;
}

async function addBridgeEnd(host: Host, end: End, job: Job, timeoutMs: number): Promise<void> {
  const record = recordOf(end, job);
  if (record === undefined) return;
  await addPort(job.db, { ...newPort(job.attachment, record), timeoutMs });
  host.step('port added');
}

function recordOf({ bridge, pod }: End, { request, attachment, port }: Job): PortRecord | undefined {
  if (bridge === undefined) return undefined;
  const { vlan, trunk, externalIds: extra } = request.config;
  return {
    name: bridge.port,
    ...bridge.made,
    externalIds: externalIds(attachment, pod.mac, extra),
    ...(vlan ? { vlan } : {}),
    ...(trunk ? { trunk } : {}),
    datapath: port.datapath,
  };
}
