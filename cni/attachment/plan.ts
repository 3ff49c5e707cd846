// What an invocation means, decided before anything is changed: the attachment with all its names, and the port. Pure.
import type { Bridge } from '../../host/ovs/bridge.ts';
import { askedMac } from '../../network/asked-mac.ts';
import type { VnicType } from '../../vnic/index.ts';
import type { Port } from '../../vnic/port.ts';
import type { IpamCall } from '../protocol/ipam.ts';
import type { Request } from '../protocol/request.ts';
import { type Attachment, attachmentId, bridgePortName, keyOf, stableMac } from './attachment.ts';
import type { Context } from './context.ts';

export function planAttachment(context: Pick<Context, 'settings' | 'bootId'>, request: Request, vnicType: VnicType): Attachment {
  const key = keyOf(request);
  const id = attachmentId(key);
  const ipam = ipamCall(context, request);
  const deviceInfo = request.config.runtimeConfig?.CNIDeviceInfoFile;
  return {
    ...key,
    id,
    bridgePort: bridgePortName(id),
    vnicType,
    ovsdb: ovsdbOf(context, request),
    bridge: request.config.bridge,
    netns: request.netns,
    pod: request.args,
    ...(ipam === undefined ? {} : { ipam }),
    ...(request.config.hooks ? { hooks: true } : {}),
    ...(deviceInfo === undefined ? {} : { deviceInfo }),
    bootId: context.bootId,
    since: new Date().toISOString(),
    began: Number(process.hrtime.bigint() / 1000n),
  };
}

export function ovsdbOf({ settings }: Pick<Context, 'settings'>, { config }: Pick<Request, 'config'>): string {
  return config.ovsdb ?? settings.ovsdb;
}

export function ipamCall({ settings }: Pick<Context, 'settings'>, { config, path, env, stdin }: Request): IpamCall | undefined {
  const type = config.ipam?.type;
  return type === undefined ? undefined : { type, path, env, stdin, timeout: settings.ipamTimeout * 1000 };
}

/** The bridge, and the MTU that its ports get by default. */
export type PlannedBridge = Bridge & { readonly mtu?: number };

/** The MAC comes from the pod, the network, or is one that stays with the pod. The MTU is the network's or the bridge's default. */
export function planPort({ config, args, ifname, netns }: Request, attachment: Attachment, bridge: PlannedBridge): Port {
  const asked = askedMac(config, args.mac) ?? config.mac;
  return {
    network: attachment.network,
    containerId: attachment.containerId,
    ifname,
    netns,
    bridgePort: attachment.bridgePort,
    mac: asked ?? stableMac(args.podUid ?? attachment.containerId, ifname),
    mtu: config.mtu ?? bridge.mtu ?? 1500,
    datapath: bridge.datapathType,
    ...(attachment.reserved === undefined ? {} : { reserved: attachment.reserved }),
  };
}
