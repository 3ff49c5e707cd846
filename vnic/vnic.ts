// What a vnic type is: how its cable is plugged at ADD (and what its container is granted at Allocate).
// The verb is shared by all types (cni/add.ts, cni/del.ts); a type makes, checks and removes only its own cable.
import type { Forwarder, MadePort } from '../host/forwarder/forwarder.ts';
import type { Host } from '../host/host.ts';
import type { ReservedVf } from './vf.ts';

/** One pod interface, decided completely before anything is changed. */
export interface Port {
  readonly network: string;
  readonly containerId: string;
  /** The interface's name in the pod, 1-15 characters. */
  readonly ifname: string;
  /** Path of the pod's network namespace as the runtime named it. */
  readonly netns: string;
  /** Name of the cable's host end and of the OVS port: a vf's representor, else short and the same for the same network, container and interface. */
  readonly bridgePort: string;
  /** Lower-case, colon-separated. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  /** The bridge's `datapath_type`: `system` (kernel) or `netdev` (userspace). */
  readonly datapath: string;
  /** For types that reserve something. */
  readonly reserved?: Reserved;
}

/** What kubelet gave the pod for this interface. Its `id` is the one that kubelet knows it by. */
export type Reserved = ReservedVf | ReservedSlot;

/** A socket's directory and nothing else, where the forwarder is the switch. */
export interface ReservedSlot {
  readonly kind: 'slot';
  /** Its pool and a number, e.g. `ovs-7`. */
  readonly id: string;
}

/** The pod's interface as the CNI result shows it. */
export interface PodInterface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** PCI address `dddd:bb:dd.f` of the VF behind it. */
  readonly pciID?: string;
  /** Path of the vhost-user socket on the host. */
  readonly socketPath?: string;
}

/** Both ends of a plugged cable. */
export interface End {
  /** The netdev that goes into the bridge, or what Open vSwitch makes itself; absent: a vf on the switch of its pf alone. */
  readonly bridge?: { readonly port: string; readonly mac?: string; readonly made?: MadePort };
  readonly pod: PodInterface;
  /** Whether IPAM's addresses are put on the pod's interface (a vfio device has none to put them on). */
  readonly takesIp: boolean;
  /** What is left to do on the pod's side: done while Open vSwitch takes the other one. */
  readonly finish?: () => Promise<void>;
}

/** As much of a port as outlives the pod. */
export type Cable = Pick<Port, 'bridgePort' | 'netns' | 'ifname' | 'reserved'>;

export interface Vnic {
  /** What kubelet must have given the pod for it, on a node with that forwarder. */
  reserves(forwarder: Forwarder | undefined): Reserved['kind'] | undefined;
  /**
   * Makes the cable. When it throws, the caller calls unplug: undoing a failed ADD, a DEL and the sweep after a crash are one and
   * the same way, which is therefore the one that is tested most.
   */
  plug(host: Host, port: Port): Promise<End>;
  /** Throws, naming what differs, when the cable is not as plug left it. */
  check(host: Host, port: Port): Promise<void>;
  /** Removes the cable; nothing there is fine. */
  unplug(host: Host, port: Cable): Promise<void>;
  /** Whether the cable of a finished ADD still exists. */
  alive(host: Host, port: Cable): Promise<boolean>;
}
