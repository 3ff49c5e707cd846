// What a vnic type is. A type has two faces, both in its one file. A cable is plugged when the runtime asks (ADD, CHECK, DEL). An offer is what
// kubelet reserves beforehand. All types share the verbs; a type says only what differs.
import type { Forwarder } from '../host/forwarder/forwarder.ts';
import type { Host } from '../host/host.ts';
import type { VfioSigns } from '../host/nic/vfio-driver.ts';
import type { VfDriver } from './drivers.ts';
import type { Described, Given, Grant } from './grant.ts';
import type { End, PluggedPort, Port, Reserved } from './port.ts';

/** How a type's interfaces are plugged. Every type passes test/support/vnic-contract.ts. */
export interface Cable {
  /** Says what kubelet must have given the pod, on a node with that forwarder. A type that ever reserves something needs an Offer. */
  reserves(forwarder: Forwarder | undefined): Reserved['kind'] | undefined;
  /** Says whether IPAM's addresses go on the pod's interface. An interface that user space drives can't have them. */
  takesIp(port: Pick<Port, 'reserved'>): boolean;
  /**
   * Makes the cable, and nothing on the bridge: the caller makes the port that the returned end names. It undoes nothing when it fails. The
   * caller then calls unplug. So a failed ADD, a DEL and the sweep after a crash all use the same, tested way.
   */
  plug(host: Host, port: Port): Promise<End>;
  /** Throws an error that names what differs when the cable is not as plug left it. */
  check(host: Host, port: Port): Promise<void>;
  /** Removes whatever is left of the cable. Plug may have stopped anywhere, and the namespace and what was reserved may be gone. */
  unplug(host: Host, port: PluggedPort): Promise<void>;
  /** Says whether the cable of a finished ADD still exists. False needs proof that the pod is gone, because then everything is removed. */
  alive(host: Host, port: PluggedPort): Promise<boolean>;
}

/** What the device plugin offers to kubelet for a type, and what a container gets for it. It touches nothing on the machine. */
export interface Offer {
  /** The ways in which a pod can have its VF. A pool that names no way uses the first one. */
  readonly drivers: readonly [VfDriver, ...VfDriver[]];
  /** Whether a pool may offer slots instead of VFs. */
  readonly slots: boolean;
  /** Whether its units are unhealthy while their forwarder does not serve. */
  readonly needsForwarder: boolean;
  /** The end of the list of free VFs that it prefers. Two types with different ends don't reach for the same VF at the same time. */
  readonly prefers: 'low addresses' | 'high addresses';
  /** Says whether ADD can hand over a VF that is bound like this (no driver: to none) in that way. */
  canTake(bound: VfioSigns, way: VfDriver): boolean;
  /** Says what a container gets. It throws, saying what to do, when nothing can be granted. */
  grant(given: Given): Grant;
  /** Device-info as Multus copies it into the pod's network-status: a type of that specification, and the members under that type. */
  readonly deviceInfo: {
    readonly type: string;
    describe(described: Described): Readonly<Record<string, string>>;
  };
  /** Names the host's directory that a grant mounts. It exists, with the pool's owner and mode, before kubelet learns of the unit. */
  readonly directory?: (id: string) => string;
}
