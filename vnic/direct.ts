// `direct`: the pod gets the vf itself, through vfio-pci or as a netdev. For now only what its container is granted; plugging follows.
import type { Vf } from '../host/vf.ts';
import type { DeviceNode, Grant } from './grant.ts';

/**
 * The vfio nodes of a vf. With `kernel` the vf's netdev moves into the pod and there is no node to give.
 * The group's number is known before the vf is bound to vfio-pci (ADD does that), except without an IOMMU: then binding makes the group.
 * Throws when the vf is in no group. Node names: kernel Documentation/driver-api/vfio.rst.
 */
export function grant(vf: Vf, driver: 'vfio-pci' | 'kernel' = 'vfio-pci'): Grant {
  const generic = { deviceID: vf.address };
  if (driver === 'kernel') return { devices: [], mounts: [], info: { generic } };
  const group = groupNode(vf);
  const devices = [node('/dev/vfio/vfio'), group];
  if (vf.vfioDevice !== undefined) devices.push(node(`/dev/vfio/devices/${vf.vfioDevice}`));
  return { devices, mounts: [], info: { generic, vfio: { mount: '/dev/vfio/vfio', 'dev-mount': group.containerPath } } };
}

/** A noiommu group's node is `noiommu-<id>` on the host; in the container it has the name that user space looks for: `<id>`. */
function groupNode(vf: Vf): DeviceNode {
  const group = vf.iommuGroup;
  if (group === undefined) {
    throw new Error(
      `${vf.address} is in no IOMMU group, so there is no /dev/vfio node to give: switch the IOMMU on (intel_iommu=on or amd_iommu=on ` +
        `on the kernel's command line), or bind the VF to vfio-pci in no-IOMMU mode before it is offered`,
    );
  }
  return node(`/dev/vfio/${group.noiommu ? 'noiommu-' : ''}${group.id}`, `/dev/vfio/${group.id}`);
}

function node(hostPath: string, containerPath = hostPath): DeviceNode {
  return { hostPath, containerPath, permissions: 'rw' };
}
