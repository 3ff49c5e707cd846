// What a look at the machine, and a change of it, begins with. The whole record is host/host.ts.

export interface Machine {
  /** Where the machine's file system begins: `/`, or a directory that a test filled with a sysfs tree. */
  readonly root: string;
}

export interface Stepping {
  /** Called between any two steps that change the machine. Does nothing but in tests, where the process may die here. */
  readonly step: (name: string) => void;
}
