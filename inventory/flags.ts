// The flags of every program that looks at the inventory: the device plugin and the commands for a person.

export interface Flag {
  readonly value: string;
  readonly default: string;
  readonly help: string;
}

export const lookFlags = {
  config: { value: 'FILE', default: '/etc/smartnic/pools.yaml', help: "the pools, or the SR-IOV device plugin's config.json" },
  'kubelet-dir': { value: 'DIRECTORY', default: '/var/lib/kubelet', help: "kubelet's root directory" },
  root: { value: 'DIRECTORY', default: '/', help: "where the machine's file system is mounted" },
} as const satisfies Readonly<Record<string, Flag>>;
