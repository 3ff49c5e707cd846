// Device-info 1.1.0: what Multus copies into a pod's network-status about each device. Pure: resources to files.
// Source: k8snetworkplumbingwg/device-info-spec, SPEC.md. Kubelet does not call Allocate again for a restarted sandbox, so the files are
// there from the scan on and stay as long as the unit does.

import { socketPlace } from '../../vnic/virtio-forwarder.ts';
import type { Resource, Unit, VnicType } from '../offer/resource.ts';

/** As the machine sees it. */
export const deviceInfoDir = '/var/run/k8s.cni.cncf.io/devinfo/dp';

/** Text by file name: `<resource with / as ->-<id>-device.json`. */
export function deviceInfoFiles(resources: readonly Resource[]): ReadonlyMap<string, string> {
  return new Map(
    resources.flatMap(({ name, vnicType, units }) =>
      units.map(
        (unit) =>
          [`${name.replaceAll('/', '-')}-${unit.id}-device.json`, `${JSON.stringify(describe[vnicType](unit))}\n`] as const,
      ),
    ),
  );
}

const version = '1.1.0';

const describe: { readonly [K in VnicType]: (unit: Unit) => object } = {
  direct: ({ id, vf }) => ({
    type: 'pci',
    version,
    pci: {
      'pci-address': id,
      'pf-pci-address': vf?.pf.address,
      ...(vf?.representor !== undefined && { 'representor-device': vf.representor }),
    },
  }),
  // `server`: the container's application makes the socket. The path is the container's, as in PCIDEVICE_…_INFO.
  'virtio-forwarder': ({ id }) => ({
    type: 'vhost-user',
    version,
    'vhost-user': { mode: 'server', path: socketPlace(id).containerPath },
  }),
};
