// What a unit's container gets, as decided by its resource's vnic type.
import { defined } from '../../host/base/defined.ts';
import type { Grant } from '../../vnic/grant.ts';
import { offers } from '../../vnic/index.ts';
import type { Resource, Unit } from './resource.ts';

/** Throws an error with the reason when nothing can be granted for the unit. */
export function grantOf({ vnicType, driver }: Resource, { id, vf }: Unit): Grant {
  return offers[vnicType].grant({ id, ...defined({ vf, driver }) });
}
