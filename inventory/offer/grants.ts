// What a unit's container is granted, as its resource's vnic type says.
import { defined } from '../../host/base/defined.ts';
import type { Grant } from '../../vnic/grant.ts';
import { offers } from '../../vnic/index.ts';
import type { Resource, Unit } from './resource.ts';

/** Throws when nothing can be granted for the unit, with the reason. */
export function grantOf({ vnicType, driver }: Resource, { id, vf }: Unit): Grant {
  return offers[vnicType].grant({ id, ...defined({ vf, driver }) });
}
