// What a container gets at Allocate for its VF or slot. Values only; device-plugin/answers/wire.ts packs them for kubelet.
import type { Vf } from '../host/nic/vf.ts';
import type { VfDriver } from './drivers.ts';

/** The VF or slot that is granted. */
export interface Given {
  /** The VF's PCI address, or the slot's name. */
  readonly id: string;
  /** Absent for a slot. */
  readonly vf?: Vf;
  /** Absent for a slot. */
  readonly driver?: VfDriver;
}

/** The part of a VF or slot that device-info describes. */
export interface Described {
  readonly id: string;
  /** PCI address of the VF's PF. */
  readonly pf?: string;
  readonly representor?: string;
}

export interface Mount {
  readonly containerPath: string;
  readonly hostPath: string;
  readonly readOnly: boolean;
}

export interface DeviceNode {
  readonly containerPath: string;
  readonly hostPath: string;
  /** Letters of `rwm`, as in the devices cgroup. */
  readonly permissions: string;
}

export interface Grant {
  readonly devices: readonly DeviceNode[];
  readonly mounts: readonly Mount[];
  /** The object under the unit's id in PCIDEVICE_<RESOURCE>_INFO, e.g. `{ generic: { deviceID }, vfio: { mount, "dev-mount" } }`. */
  readonly info: Readonly<Record<string, Readonly<Record<string, string>>>>;
}
