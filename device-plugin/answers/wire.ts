// Turns our records into kubelet's messages. Only shapes, no decisions.
import type { ContainerAllocateResponse } from '../../proto/generated/v1beta1/ContainerAllocateResponse.ts';
import type { ListAndWatchResponse } from '../../proto/generated/v1beta1/ListAndWatchResponse.ts';
import type { Allocation } from './allocate.ts';
import { deviceList, type Snapshot } from './snapshot.ts';

export function packList(snapshot: Snapshot, resource: string): ListAndWatchResponse {
  const devices = deviceList(snapshot, resource).map(({ id, healthy, numaNodes }) => ({
    ID: id,
    health: healthy ? 'Healthy' : 'Unhealthy',
    // Topology without nodes would make kubelet align the whole resource. Without topology, it means "anywhere".
    ...(numaNodes.length > 0 ? { topology: { nodes: numaNodes.map((ID) => ({ ID })) } } : {}),
  }));
  return { devices };
}

export function packAllocation(allocation: Allocation): ContainerAllocateResponse {
  return {
    envs: { ...allocation.envs },
    mounts: allocation.mounts.map(({ containerPath, hostPath, readOnly }) => ({
      container_path: containerPath,
      host_path: hostPath,
      read_only: readOnly,
    })),
    devices: allocation.devices.map(({ containerPath, hostPath, permissions }) => ({
      container_path: containerPath,
      host_path: hostPath,
      permissions,
    })),
    cdi_devices: allocation.cdiDevices.map((name) => ({ name })),
  };
}
