// What a physical function (pf) and a virtual function (vf) of a NIC are, as read from the machine. Records only; host/nic/pci.ts reads them.
import type { PciAddress } from '../base/pci-address.ts';

export type EswitchMode = 'legacy' | 'switchdev';

export interface IommuGroup {
  /** Number below /sys/kernel/iommu_groups, e.g. `42`. */
  readonly id: number;
  /** The group's name is `vfio-noiommu`: its device node is /dev/vfio/noiommu-<id>. */
  readonly noiommu: boolean;
  /** PCI addresses of all devices in it, the vf's own included. More than one: it can't be given away alone. */
  readonly members: readonly string[];
}

export interface Pf {
  readonly address: PciAddress;
  /** Its uplink netdev; absent when it has none (bound to vfio-pci, in another namespace). */
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
  /** N of the pf's virtfnN. */
  readonly index: number;
  readonly vendor: string;
  readonly device: string;
  /** Absent: bound to no driver. */
  readonly driver?: string;
  /** Absent: no IOMMU. */
  readonly iommuGroup?: IommuGroup;
  /** The vf's character device `/dev/vfio/devices/vfioN` where the kernel has one, e.g. `vfio3`. */
  readonly vfioDevice?: string;
  /** Absent: the machine says -1 or nothing. */
  readonly numaNode?: number;
  readonly netdev?: string;
  readonly linkType?: string;
  /** The netdev that stands for this vf on the pf's switch. */
  readonly representor?: string;
  /** Why the host itself uses it, in words; empty: it can be offered. */
  readonly inUse: readonly string[];
  /** What of it could not be read at the last look, in words; the rest is as it was before. */
  readonly unread?: string;
}
