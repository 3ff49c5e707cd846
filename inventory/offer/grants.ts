// The table from a resource's vnic type to what its containers are granted.
import * as direct from '../../vnic/direct.ts';
import type { Grant } from '../../vnic/grant.ts';
import * as virtioForwarder from '../../vnic/virtio-forwarder.ts';
import type { Resource, Unit, VnicType } from './resource.ts';

const grants = {
  direct: ({ driver }, { id, vf }) => {
    if (vf === undefined) throw new Error(`${id} is a slot, and direct gives away VFs`);
    return direct.grant(vf, driver);
  },
  'virtio-forwarder': (_, { id }) => virtioForwarder.grant(id),
} as const satisfies Record<VnicType, (resource: Resource, unit: Unit) => Grant>;

/** Throws when nothing can be granted for the unit, with the reason. */
export function grantOf(resource: Resource, unit: Unit): Grant {
  return grants[resource.vnicType](resource, unit);
}
