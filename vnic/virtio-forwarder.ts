// `virtio-forwarder`: the pod gets a vhost-user socket, a forwarder on the host owns the vf. Up to the vf it is `direct` with vfio-pci.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Forwarder, PairName } from '../host/forwarder/forwarder.ts';
import type { Host } from '../host/host.ts';
import { existsOnHost, onHost } from '../host/sysfs.ts';
import type { Vf } from '../host/vf.ts';
import { direct } from './direct.ts';
import type { Grant } from './grant.ts';
import type { CableVf } from './vf.ts';
import type { Port, Vnic } from './vnic.ts';

export const virtioForwarder: Vnic = {
  needsVf: true,

  async plug(host, port) {
    const vf = vfOf(port);
    const forwarder = forwarderOf(host);
    const pair = pairOf(vf);
    clearSockets(host, vf);
    const end = await direct.plug(host, port);
    await forwarder.attach({ ...pair, mac: port.mac, mtu: port.mtu });
    host.step('forwarder attached');
    return { ...end, pod: { ...end.pod, socketPath: pair.socket }, takesIp: false };
  },

  async check(host, port) {
    const { device, socket } = pairOf(vfOf(port));
    await direct.check(host, port);
    const pairs = await forwarderOf(host).attached();
    if (pairs.some((each) => each.device === device && each.socket === socket)) return;
    throw new Error(`the forwarder does not relay ${socket} to VF ${device}; its keeper says why in smartnic's log`);
  },

  /** The forwarder first: a vf can't be taken from vfio-pci while somebody has it open, the kernel waits for that without end. */
  async unplug(host, cable) {
    const { vf } = cable;
    if (vf !== undefined) {
      await host.forwarder?.detach(pairOf(vf));
      host.step('forwarder detached');
      clearSockets(host, vf);
    }
    await direct.unplug(host, cable);
  },

  alive: (host, cable) => direct.alive(host, cable),
};

/** Below it each vf has a directory of its own. */
export const socketDirectory = '/run/smartnic/vhost';

/** Where the socket of a vf lies: its directory and path on the host, and the same two as its container sees them. */
export interface SocketPlace {
  readonly hostDirectory: string;
  readonly hostPath: string;
  readonly containerDirectory: string;
  readonly containerPath: string;
}

/** Fixed by the vf's PCI address alone, so that container, forwarder and server can each restart and meet again. */
export function socketPlace(address: string): SocketPlace {
  const hostDirectory = `${socketDirectory}/${address}`;
  const containerDirectory = `/var/run/smartnic/${address}`;
  return {
    hostDirectory,
    hostPath: `${hostDirectory}/vhost.sock`,
    containerDirectory,
    containerPath: `${containerDirectory}/vhost.sock`,
  };
}

function pairOf({ address }: CableVf): PairName {
  return { device: address, socket: socketPlace(address).hostPath };
}

/** What an earlier pod left, whatever it is: no container of this one has been started yet. The directory is the device plugin's. */
function clearSockets(host: Host, { address }: CableVf): void {
  const directory = onHost(host, socketPlace(address).hostDirectory);
  if (!existsOnHost(directory)) return;
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
}

function vfOf({ vf, ifname }: Port): CableVf {
  if (vf === undefined) throw new Error(`${ifname} was planned as virtio-forwarder without a VF; this is a fault of smartnic`);
  if (vf.driver === 'vfio-pci') return vf;
  throw new Error(`driver: "${vf.driver}" leaves the VF to the kernel, but a forwarder takes it by vfio-pci; leave "driver" out`);
}

function forwarderOf({ forwarder }: Host): Forwarder {
  if (forwarder === undefined) {
    throw new Error(
      'this node has no forwarder for virtio-forwarder ports; write "forwarder: { kind: xvio }" (or testpmd) into the node\'s configuration',
    );
  }
  if (forwarder.port === undefined) return forwarder;
  throw new Error("this node's forwarder is ovs-dpdk, which takes no VF, and this port has one; use kind xvio or testpmd");
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
