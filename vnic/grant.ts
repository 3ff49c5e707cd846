// What a container is given at Allocate for its vf: values only, packed into kubelet's message by device-plugin/kubelet/service.ts.

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
  /** What goes under this vf's address into PCIDEVICE_<RESOURCE>_INFO, e.g. `{ generic: { deviceID }, vfio: { mount, "dev-mount" } }`. */
  readonly info: Readonly<Record<string, Readonly<Record<string, string>>>>;
}
