// `virtio-forwarder`: the pod gets a vhost-user socket, and a forwarder on the host has the VF. The VF is set up as for `direct` with vfio-pci.
// Where Open vSwitch itself is the forwarder there is no VF. The pod then has a slot, which is only the socket's directory.
import { messageOf, Unavailable } from '../host/base/errors.ts';
import { emptyOrSetAside, removeAside } from '../host/files/set-aside.ts';
import { isSocketOpen } from '../host/files/socket-owner.ts';
import { type Forwarder, type PairName, socketDirectory } from '../host/forwarder/forwarder.ts';
import type { Host } from '../host/host.ts';
import { onHost } from '../host/kernel/sysfs.ts';
import { cable as direct } from './direct.ts';
import { canTake } from './drivers.ts';
import type { End, Port } from './port.ts';
import type { ReservedVf } from './vf.ts';
import type { Cable, Offer } from './vnic.ts';

export const cable = {
  reserves: (forwarder) => (forwarder?.port === undefined ? 'vf' : 'slot'),
  takesIp: () => false,

  async plug(host, port) {
    if (port.reserved?.kind === 'slot') return await plugSlot(host, port, port.reserved.id);
    const vf = vfOf(port);
    const forwarder = forwarderOf(host);
    const pair = pairOf(vf.id);
    requireEnded(host, vf.id);
    clearSockets(host, vf.id);
    const end = await direct.plug(host, port);
    await forwarder.attach({ ...pair, mac: port.mac, mtu: port.mtu });
    host.step('forwarder attached');
    return { ...end, pod: { ...end.pod, socketPath: pair.socket } };
  },

  async check(host, port) {
    const reserved = port.reserved?.kind === 'slot' ? port.reserved : vfOf(port);
    if (reserved.kind === 'vf') await direct.check(host, port);
    const { socket } = pairOf(reserved.id);
    const pairs = await forwarderOf(host).attached();
    const wanted = reserved.kind === 'vf' ? reserved.id : port.bridgePort;
    if (pairs.some((each) => each.device === wanted && each.socket === socket)) return;
    throw new Error(
      reserved.kind === 'vf'
        ? `the forwarder does not relay ${socket} to VF ${wanted}; its keeper says why in smartnic's log`
        : `Open vSwitch has no vhost-user port ${wanted} to ${socket}; was it removed or changed by hand?`,
    );
  },

  /** The forwarder lets go first. While somebody has the VF open, it can't be taken from vfio-pci, and the kernel would wait without end. */
  async unplug(host, port) {
    const id = port.reserved?.id;
    if (id !== undefined) {
      await host.forwarder?.detach(pairOf(id));
      host.step('forwarder detached');
      // One that is still served is kept, because the next plug must see it.
      if (!isSocketOpen(onHost(host, socketPlace(id).hostPath))) clearSockets(host, id);
    }
    await direct.unplug(host, port);
  },

  /** A slot, like a VF at vfio-pci, says nothing about the pod. */
  alive: (host, port) => direct.alive(host, port),
} as const satisfies Cable;

export const offer: Offer = {
  drivers: ['vfio-pci'],
  slots: true,
  needsForwarder: true,
  prefers: 'high addresses',
  // A forwarder may have bound the VF to uio before.
  canTake: (bound, way) => bound.driver?.includes('uio') === true || canTake(bound, way),

  /** The directory is writable, because the container is the socket's server. It never gets a vfio node, because the forwarder has the VF. */
  grant({ id }) {
    const { hostDirectory, containerDirectory } = socketPlace(id);
    return {
      devices: [],
      mounts: [{ hostPath: hostDirectory, containerPath: containerDirectory, readOnly: false }],
      info: { generic: { deviceID: id }, 'vhost-user': describe(id) },
    };
  },

  deviceInfo: { type: 'vhost-user', describe: ({ id }) => describe(id) },
  directory: (id) => socketPlace(id).hostDirectory,
};

/** `server`: the container's application creates the socket. The path is the one inside the container. */
function describe(id: string) {
  return { mode: 'server', path: socketPlace(id).containerPath } as const;
}

async function plugSlot(host: Host, port: Port, slot: string): Promise<End> {
  const { forwarder } = host;
  if (forwarder?.port === undefined) throw new Error(`${port.ifname} was planned with slot ${slot}; this is a fault of smartnic`);
  if (port.datapath !== 'netdev') {
    throw new Error(
      `the bridge has datapath "${port.datapath}", but vhost-user ports need Open vSwitch's userspace datapath; ` +
        'ovs-vsctl set Bridge BRIDGE datapath_type=netdev, or take another bridge',
    );
  }
  const pair = { ...pairOf(slot), mac: port.mac, mtu: port.mtu };
  requireEnded(host, slot);
  clearSockets(host, slot);
  await forwarder.attach(pair);
  host.step('forwarder attached');
  return {
    bridge: { port: port.bridgePort, made: forwarder.port(pair) },
    pod: { name: port.ifname, mac: port.mac, mtu: port.mtu, socketPath: pair.socket },
  };
}

/** Where a socket is: its directory and path on the host, and the same two inside its container. */
export interface SocketPlace {
  readonly hostDirectory: string;
  readonly hostPath: string;
  readonly containerDirectory: string;
  readonly containerPath: string;
}

/** Depends only on the VF's PCI address or the slot's name, so that container, forwarder and server can each restart and meet again. */
export function socketPlace(id: string): SocketPlace {
  const hostDirectory = `${socketDirectory}/${id}`;
  const containerDirectory = `/var/run/smartnic/${id}`;
  return {
    hostDirectory,
    hostPath: `${hostDirectory}/vhost.sock`,
    containerDirectory,
    containerPath: `${containerDirectory}/vhost.sock`,
  };
}

function pairOf(id: string): PairName {
  return { device: id, socket: socketPlace(id).hostPath };
}

/**
 * Takes away whatever an earlier pod left. No container of this pod has been started yet. The device plugin owns the directory itself, and corrects the
 * owner of one that had to be made anew.
 */
function clearSockets(host: Host, id: string): void {
  const aside = emptyOrSetAside(onHost(host, socketPlace(id).hostDirectory));
  if (aside === undefined) return;
  // Nobody waits for this: a pod may have left a hundred thousand files. What can't be removed now goes at the server's next start.
  void removeAside(aside).catch((error: unknown) =>
    host.log.warn(
      { path: aside, error: messageOf(error) },
      'what a pod left in the directory of its socket can not be removed yet',
    ),
  );
}

/**
 * The VF or slot is this pod's now, and no container of it has been started. A program that serves the socket all the same is one of an earlier pod
 * of which nothing here knows any more.
 */
function requireEnded(host: Host, id: string): void {
  const { hostPath } = socketPlace(id);
  if (!isSocketOpen(onHost(host, hostPath))) return;
  throw new Unavailable(
    `a process still serves ${hostPath}, though kubelet has given ${id} to this pod; a container of an earlier pod has not ended: end it ` +
      '(crictl ps), and the pod is plugged at the next try',
  );
}

function vfOf({ reserved, ifname }: Port): ReservedVf {
  if (reserved?.kind !== 'vf')
    throw new Error(`${ifname} was planned as virtio-forwarder without a VF; this is a fault of smartnic`);
  if (reserved.driver === 'vfio-pci') return reserved;
  throw new Error(
    `driver: "${reserved.driver}" leaves the VF to the kernel, but a forwarder takes it by vfio-pci; leave "driver" out`,
  );
}

function forwarderOf({ forwarder }: Host): Forwarder {
  if (forwarder !== undefined) return forwarder;
  throw new Error(
    'this node has no forwarder for virtio-forwarder ports; write "forwarder: { kind: xvio }" (or testpmd, ovs-dpdk) into the node\'s ' +
      'configuration',
  );
}
