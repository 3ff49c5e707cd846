// `virtio-forwarder`: the pod gets a vhost-user socket, a forwarder on the host owns the vf. For now only what its container is granted.
import type { Vf } from '../host/vf.ts';
import type { Grant } from './grant.ts';

/** Where the socket of a vf lies: its directory and path on the host, and the same two as its container sees them. */
export interface SocketPlace {
  readonly hostDirectory: string;
  readonly hostPath: string;
  readonly containerDirectory: string;
  readonly containerPath: string;
}

/** Fixed by the vf's PCI address alone, so that container, forwarder and server can each restart and meet again. */
export function socketPlace(address: string): SocketPlace {
  const hostDirectory = `/run/smartnic/vhost/${address}`;
  const containerDirectory = `/var/run/smartnic/${address}`;
  return {
    hostDirectory,
    hostPath: `${hostDirectory}/vhost.sock`,
    containerDirectory,
    containerPath: `${containerDirectory}/vhost.sock`,
  };
}

/** The directory, writable: the container is the socket's server. Never a vfio node, that is the forwarder's. */
export function grant(vf: Vf): Grant {
  const place = socketPlace(vf.address);
  return {
    devices: [],
    mounts: [{ hostPath: place.hostDirectory, containerPath: place.containerDirectory, readOnly: false }],
    info: { generic: { deviceID: vf.address }, 'vhost-user': { mode: 'server', path: place.containerPath } },
  };
}
