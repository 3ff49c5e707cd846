// The flags of every program that looks at the inventory: the device plugin and the commands for a person.

import { defaultImportPrefix, domainProblem } from './config/resource-name.ts';

export interface Flag {
  readonly value: string;
  readonly default: string;
  readonly help: string;
}

export const lookFlags = {
  config: { value: 'FILE', default: '/etc/smartnic/pools.yaml', help: "the pools, or the SR-IOV device plugin's config.json" },
  'resource-prefix': {
    value: 'DOMAIN',
    default: defaultImportPrefix,
    help: 'the prefix of resources of a config.json that names none',
  },
  'kubelet-dir': { value: 'DIRECTORY', default: '/var/lib/kubelet', help: "kubelet's root directory" },
  root: { value: 'DIRECTORY', default: '/', help: "where the machine's file system is mounted" },
} as const satisfies Readonly<Record<string, Flag>>;

/** @throws Error that names the flag. */
export function readPrefix(text: string): string {
  const problem = domainProblem(text);
  if (problem === undefined) return text;
  throw new Error(`--resource-prefix: "${text}" ${problem}`);
}
