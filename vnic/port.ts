// One pod interface as a cable sees it: what is decided before plugging, and what plugging returns.
import type { MadePort } from '../host/forwarder/forwarder.ts';
import type { ReservedVf } from './vf.ts';

/** One pod interface, decided completely before anything is changed. */
export interface Port {
  readonly network: string;
  readonly containerId: string;
  /** The interface's name in the pod, 1-15 characters. */
  readonly ifname: string;
  /** The path of the pod's network namespace, as the runtime gave it. */
  readonly netns: string;
  /** The name of the cable's host end and of the OVS port: a VF's representor, or else a short name made of network, container and interface. */
  readonly bridgePort: string;
  /** Lower-case, colon-separated. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  /** The bridge's `datapath_type`: `system` (kernel) or `netdev` (userspace). */
  readonly datapath: string;
  /** Absent for types that reserve nothing. */
  readonly reserved?: Reserved;
}

/** What kubelet allocated to the pod for this interface. `id` is kubelet's name for it. */
export type Reserved = ReservedVf | ReservedSlot;

/** One port of the node without hardware, where the forwarder itself is the switch. It consists of a socket's directory. */
export interface ReservedSlot {
  readonly kind: 'slot';
  /** The pool's name and a number, e.g. `ovs-7`. */
  readonly id: string;
}

/** The part of a port that is known even when the pod is gone. */
export type PluggedPort = Pick<Port, 'network' | 'containerId' | 'bridgePort' | 'netns' | 'ifname' | 'reserved'>;

/** Both ends of a plugged cable. */
export interface End {
  /** The netdev that goes into the bridge, or what Open vSwitch creates itself. Absent when the switch of the VF's PF is used, without a bridge. */
  readonly bridge?: { readonly port: string; readonly mac?: string; readonly made?: MadePort };
  readonly pod: PodInterface;
  /** Does the rest of the work on the pod's side, while Open vSwitch takes the other end. */
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
