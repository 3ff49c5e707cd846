// The table from a resource's vnic type to what its containers are granted.
import type { Vf } from '../host/vf.ts';
import * as direct from '../vnic/direct.ts';
import type { Grant } from '../vnic/grant.ts';
import * as virtioForwarder from '../vnic/virtio-forwarder.ts';
import type { Resource, VnicType } from './resource.ts';

const grants = {
  direct: (resource) => (vf) => direct.grant(vf, resource.driver),
  'virtio-forwarder': () => virtioForwarder.grant,
} as const satisfies Record<VnicType, (resource: Resource) => (vf: Vf) => Grant>;

export function grantOf(resource: Resource): (vf: Vf) => Grant {
  return grants[resource.vnicType](resource);
}
