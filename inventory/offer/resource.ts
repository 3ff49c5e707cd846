// The border between what is on the machine (inventory, pools, health) and what kubelet hears about it (service, kubelet). There is one
// record per advertised resource. It is complete, and it is replaced as a whole.
import type { Vf } from '../../host/nic/vf.ts';
import type { VfDriver } from '../../vnic/drivers.ts';
import type { OfferedType } from '../../vnic/index.ts';

/** One VF or slot, as one resource offers it. */
export interface Unit {
  /** Kubelet's name for it: the VF's PCI address, or the slot's name. */
  readonly id: string;
  /** Absent for a slot, in a pool whose forwarder takes no VF. */
  readonly vf?: Vf;
  /** Empty when healthy. Otherwise the reasons, worst first, e.g. `vf-gone`, `driver-wrong`, `taken-by smartnic.io/direct`. */
  readonly problems: readonly string[];
  /** Problems of which kubelet is not told, because a pod has the VF. They keep the VF from every other pod. */
  readonly untold?: readonly string[];
  /** The NUMA nodes that kubelet is told, by the pool's numaPolicy. Empty: no TopologyInfo. */
  readonly numaNodes: readonly number[];
}

export interface Resource {
  /** e.g. `smartnic.io/direct`. */
  readonly name: string;
  readonly pool: string;
  readonly vnicType: OfferedType;
  /** How its VFs are handed over. Absent when its units are slots. */
  readonly driver?: VfDriver;
  /** Which VFs GetPreferredAllocation prefers. */
  readonly allocation: 'pack' | 'spread';
  /** Whether Allocate also answers with `cdi_devices`. */
  readonly cdi: boolean;
  /** Sorted by id. Slots are sorted by number. */
  readonly units: readonly Unit[];
}
