// Device-info 1.1.0 (k8snetworkplumbingwg/device-info-spec). The device plugin writes it for every unit, and the CNI side for an attachment.
import type { Described } from './grant.ts';
import { type OfferedType, offeredTypes, offers } from './index.ts';

export function deviceInfo(type: OfferedType, described: Described): object {
  const { type: infoType, describe } = offers[type].deviceInfo;
  return { type: infoType, version: '1.1.0', [infoType]: describe(described) };
}

/** The types for which a device with that `type` in its device-info can have been allocated. */
export function typesDescribedAs(infoType: unknown): readonly OfferedType[] {
  return offeredTypes.filter((type) => offers[type].deviceInfo.type === infoType);
}
