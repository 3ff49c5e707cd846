// The keys of a network that mean something only to ports with a VF. Pure.
import { z } from 'zod';
import type { VfLinkState } from '../host/netlink/netlink.ts';
import { vfDrivers } from '../vnic/drivers.ts';
import { cables, type VnicType } from '../vnic/index.ts';

const rate = z.int().min(0).max(0xffffffff);

/** How a port with a VF is made. These keys don't concern other pods on the network. */
const making = {
  driver: z.enum(vfDrivers).optional(),
  /** The extended resource as which the VF must have been allocated. Default: smartnic.io/ and the vnic type. */
  resource: z
    .string()
    .regex(
      /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\/[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/,
      'is not a resource name such as smartnic.io/direct',
    )
    .optional(),
  /** `none`: the PF's own switch carries the VF (legacy SR-IOV). `hook`: the hooks name the representor. */
  representor: z.enum(['auto', 'none', 'hook']).default('auto'),
};

/** What is set on the VF. A port without a VF can't keep these promises. */
const promises = {
  /** Mbit/s; 0 means no limit. */
  maxTxRate: rate.optional(),
  minTxRate: rate.optional(),
  trust: z.boolean().optional(),
  spoofchk: z.boolean().optional(),
  linkState: z.enum(['auto', 'enable', 'disable'] satisfies readonly VfLinkState[]).optional(),
  /** The priority of the frames in `vlan`, with `representor: none`. */
  vlanQos: z.int().min(0).max(7).optional(),
};

export const vfKeys = { ...making, ...promises };

export const promiseKeys = Object.keys(promises) as readonly (keyof typeof promises)[];

type VfKeys = z.output<z.ZodObject<typeof vfKeys>>;
type Others = { readonly vlan?: number | undefined; readonly allowedVnicTypes: readonly VnicType[] };

/** What is wrong with the network for every pod. Undefined when nothing is. */
export function vfKeysProblem(config: VfKeys & Others): { readonly key: keyof VfKeys; readonly problem: string } | undefined {
  const given = promiseKeys.find((key) => config[key] !== undefined);
  if (given !== undefined && !config.allowedVnicTypes.some((type) => cables[type].reserves(undefined) === 'vf')) {
    return { key: given, problem: `is for VFs, but the network allows only ${config.allowedVnicTypes.join(', ')}` };
  }
  const { minTxRate, maxTxRate, vlanQos } = config;
  if (minTxRate && maxTxRate && minTxRate > maxTxRate) return { key: 'minTxRate', problem: `is above maxTxRate, ${maxTxRate}` };
  if (vlanQos && config.representor !== 'none') {
    return { key: 'vlanQos', problem: 'is set by the PF, which needs "representor": "none"; on a bridge, flows set priorities' };
  }
  if (vlanQos && !config.vlan) return { key: 'vlanQos', problem: 'is a priority in a VLAN, but "vlan" is not set' };
  return undefined;
}
