// One pod interface as a cable sees it: what is decided before the plug, and what the plug answers.
import type { MadePort } from '../host/forwarder/forwarder.ts';
import type { ReservedVf } from './vf.ts';

/** One pod interface, decided completely before anything is changed. */
export interface Port {
  readonly network: string;
  readonly containerId: string;
  /** The interface's name in the pod, 1-15 characters. */
  readonly ifname: string;
  /** Path of the pod's network namespace as the runtime named it. */
  readonly netns: string;
  /** Name of the cable's host end and of the OVS port: a VF's representor, else short and the same for the same network, container and interface. */
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

/** A name that stands for one port of the node, and for nothing that the machine has: where the forwarder is the switch, a socket's directory. */
export interface ReservedSlot {
  readonly kind: 'slot';
  /** Its pool and a number, e.g. `ovs-7`. */
  readonly id: string;
}

/** As much of a port as outlives the pod. */
export type PluggedPort = Pick<Port, 'bridgePort' | 'netns' | 'ifname' | 'reserved'>;

/** Both ends of a plugged cable. */
export interface End {
  /** The netdev that goes into the bridge, or what Open vSwitch makes itself. Absent: the switch of the VF's PF carries it, and no bridge. */
  readonly bridge?: { readonly port: string; readonly mac?: string; readonly made?: MadePort };
  readonly pod: PodInterface;
  /** What is left to do on the pod's side: done while Open vSwitch takes the other one. */
  readonly finish?: () => Promise<void>;
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
