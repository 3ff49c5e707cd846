// The records of a NIC's physical functions (PF) and virtual functions (VF). host/nic/pci.ts reads them from the machine.
import type { PciAddress } from '../base/pci-address.ts';

export type EswitchMode = 'legacy' | 'switchdev';

export interface IommuGroup {
  /** Number below /sys/kernel/iommu_groups, e.g. `42`. */
  readonly id: number;
  /** True when the group is named `vfio-noiommu`. Then its device node is /dev/vfio/noiommu-<id>. */
  readonly noiommu: boolean;
  /** PCI addresses of all devices in the group, the VF's own included. If there are others, the VF can't be given away alone. */
  readonly members: readonly string[];
}

export interface Pf {
  readonly address: PciAddress;
  /** Its uplink netdev; absent when it has none (it is bound to vfio-pci, or the netdev is in another namespace). */
  readonly netdev?: string;
  /** Four hex digits, lower-case, without 0x. */
  readonly vendor: string;
  readonly device: string;
  readonly driver?: string;
  readonly numVfs: number;
  readonly totalVfs: number;
  readonly numaNode?: number;
  /** `ether`, `infiniband`, as ARPHRD names them. */
  readonly linkType?: string;
  readonly eswitchMode?: EswitchMode;
  readonly hwTcOffload?: boolean;
  readonly switchId?: string;
}

export interface Vf {
  /** The device id that kubelet sees. */
  readonly address: PciAddress;
  readonly pf: Pf;
  /** N of the PF's virtfnN. */
  readonly index: number;
  readonly vendor: string;
  readonly device: string;
  /** Absent: no driver. */
  readonly driver?: string;
  /** Absent: the machine has no IOMMU. */
  readonly iommuGroup?: IommuGroup;
  /** The name of the VF's character device below /dev/vfio/devices, e.g. `vfio3`. Absent where the kernel has none. */
  readonly vfioDevice?: string;
  /** Absent: the machine says -1 or does not say it. */
  readonly numaNode?: number;
  readonly netdev?: string;
  readonly linkType?: string;
  /** The VF's netdev on the PF's switch. */
  readonly representor?: string;
  /** Why the host itself uses the VF, in words. If empty, the VF can be offered. */
  readonly inUse: readonly string[];
  /** What could not be read at the last look, in words. The rest is then from the look before. */
  readonly unread?: string;
}
