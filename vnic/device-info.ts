// Device-info 1.1.0 (k8snetworkplumbingwg/device-info-spec): the device plugin writes it of every unit, the CNI side of an attachment's.
import type { Described } from './grant.ts';
import { type OfferedType, offeredTypes, offers } from './index.ts';

export function deviceInfo(type: OfferedType, described: Described): object {
  const { type: infoType, describe } = offers[type].deviceInfo;
  return { type: infoType, version: '1.1.0', [infoType]: describe(described) };
}

/** Types that a device with that `type` in its device-info can have been allocated for. */
export function typesDescribedAs(infoType: unknown): readonly OfferedType[] {
  return offeredTypes.filter((type) => offers[type].deviceInfo.type === infoType);
}
