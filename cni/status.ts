// STATUS: could an ADD succeed now? 50 means no. 51 means no, and running pods may be cut off, too.
import { messageOf, Unavailable } from '../host/base/errors.ts';
import { findBridge, vswitchdRunning } from '../host/ovs/bridge.ts';
import type { Context } from './attachment/context.ts';
import { ipamCall, ovsdbOf } from './attachment/plan.ts';
import { CniError, codes } from './protocol/errors.ts';
import { ipamOptional } from './protocol/ipam.ts';
import type { Request } from './protocol/request.ts';

/** Throws CniError 50 or 51, or the IPAM plugin's own. Returns a remark for the case that an ADD would succeed. */
export async function status(context: Context, request: Request): Promise<string> {
  const { host, pods, settings } = context;
  const db = host.ovsdb(ovsdbOf(context, request));
  try {
    if (!(await vswitchdRunning(db))) {
      throw new CniError(
        codes.impaired,
        `ovs-vswitchd is not running on ${db.address}: no port can be made, and pods on a userspace datapath are cut off; start openvswitch-switch`,
      );
    }
    const { bridge, createBridge } = request.config;
    if (!createBridge && (await findBridge(db, bridge)) === undefined) {
      throw new CniError(
        codes.unavailable,
        `bridge: there is no bridge "${bridge}" on ${db.address}; create it (ovs-vsctl add-br ${bridge}) or set "createBridge": true`,
      );
    }
  } catch (error) {
    if (error instanceof Unavailable) throw new CniError(codes.unavailable, messageOf(error), { cause: error });
    throw error;
  }
  const problem = pods.problem();
  if (problem !== undefined) throw new CniError(codes.unavailable, problem);
  const ipam = ipamCall(context, request);
  if (ipam !== undefined) await ipamOptional(host, ipam, 'STATUS');
  return pods.configured
    ? ''
    : `no API server is configured on node ${settings.nodeName}: annotations of pods are not read, networks' vnicType decides\n`;
}
