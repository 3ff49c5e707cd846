// What a container is given at Allocate for its VF or slot, and of what. Values only; device-plugin/answers/wire.ts packs them for kubelet.
import type { Vf } from '../host/nic/vf.ts';
import type { VfDriver } from './drivers.ts';

/** What is granted. */
export interface Given {
  /** The VF's PCI address, or the slot's name. */
  readonly id: string;
  /** Absent: a slot. */
  readonly vf?: Vf;
  /** Absent: a slot. */
  readonly driver?: VfDriver;
}

/** As much of it as device-info tells. */
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
  /** Of `rwm`. */
  readonly permissions: string;
}

export interface Grant {
  readonly devices: readonly DeviceNode[];
  readonly mounts: readonly Mount[];
  /** What stands under its id in PCIDEVICE_<RESOURCE>_INFO, e.g. `{ generic: { deviceID }, vfio: { mount, "dev-mount" } }`. */
  readonly info: Readonly<Record<string, Readonly<Record<string, string>>>>;
}
