// Device-info 1.1.0: what Multus copies into a pod's network-status for each device. Pure: resources to files.
// Source: k8snetworkplumbingwg/device-info-spec, SPEC.md. Kubelet does not call Allocate again for a restarted sandbox. So the files exist
// from the first scan on, as long as the unit exists.

import { defined } from '../../host/base/defined.ts';
import { longestOwnName } from '../../host/files/own-files.ts';
import { deviceInfo } from '../../vnic/device-info.ts';
import type { OfferedType } from '../../vnic/index.ts';
import type { Resource, Unit } from '../offer/resource.ts';

/** The path as the machine sees it. */
export const deviceInfoDir = '/var/run/k8s.cni.cncf.io/devinfo/dp';

/**
 * Text by file name: `<resource with / as ->-<id>-device.json`. There is no file for a resource whose name is too long for one: Multus, which builds
 * the same name, can't read one either.
 */
export function deviceInfoFiles(resources: readonly Resource[]): ReadonlyMap<string, string> {
  const files = resources.flatMap(({ name, vnicType, units }) =>
    units.map(
      (unit) => [`${name.replaceAll('/', '-')}-${unit.id}-device.json`, `${JSON.stringify(describe(vnicType, unit))}\n`] as const,
    ),
  );
  return new Map(files.filter(([name]) => Buffer.byteLength(name) <= longestOwnName));
}

function describe(type: OfferedType, { id, vf }: Unit): object {
  return deviceInfo(type, { id, ...defined({ pf: vf?.pf.address, representor: vf?.representor }) });
}
