// The border between what is on the machine (inventory, pools, health) and what kubelet hears of it (service, kubelet):
// one record per advertised resource, complete and replaced as a whole.
import type { Vf } from '../../host/nic/vf.ts';
import type { VfDriver } from '../../vnic/drivers.ts';
import type { OfferedType } from '../../vnic/index.ts';

/** One vf, or one slot, as one resource offers it. */
export interface Unit {
  /** What kubelet calls it: the vf's PCI address, or the slot's name. */
  readonly id: string;
  /** Absent: a slot, of a pool whose forwarder takes no vf. */
  readonly vf?: Vf;
  /** Empty: healthy. Else the reasons, worst first, e.g. `vf-gone`, `driver-wrong`, `taken-by smartnic.io/direct`. */
  readonly problems: readonly string[];
  /** What kubelet is not told, because a pod has the vf, and what keeps the vf from every other pod. */
  readonly untold?: readonly string[];
  /** NUMA nodes told to kubelet by the pool's numaPolicy; empty: no TopologyInfo. */
  readonly numaNodes: readonly number[];
}

export interface Resource {
  /** e.g. `smartnic.io/direct`. */
  readonly name: string;
  readonly pool: string;
  readonly vnicType: OfferedType;
  /** How its VFs are handed over. Absent: its units are slots. */
  readonly driver?: VfDriver;
  /** Which vfs GetPreferredAllocation prefers. */
  readonly allocation: 'pack' | 'spread';
  /** Answer with `cdi_devices` as well. */
  readonly cdi: boolean;
  /** Sorted by id; slots by number. */
  readonly units: readonly Unit[];
}
