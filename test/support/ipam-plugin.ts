// IPAM plugins whose behaviour is a script of the test. They write down how they were called.
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestNode } from './node.ts';

export const good = `echo '{"cniVersion":"1.0.0","ips":[{"address":"10.5.0.2/24","gateway":"10.5.0.1"}]}'`;
export const says = (text: string) => `echo '${text}'`;
export const fails = (text: string) => `echo '${text}'; exit 1`;

export interface IpamPlugins {
  /** Puts one into CNI_PATH, named `tried` unless said otherwise. By command: a script; no script: success without a word. */
  plugin(scripts: Readonly<Record<string, string>>, name?: string): Promise<void>;
  file(name: string): string;
  /** `COMMAND CONTAINER INTERFACE` of each call since the last `plugin`. */
  calls(): Promise<readonly string[]>;
}

export function ipamPlugins(node: Pick<TestNode, 'dir'>): IpamPlugins {
  const file = (name: string) => join(node.dir, 'ipam', name);
  const record = join(node.dir, 'calls');
  return {
    async plugin(scripts, name = 'tried') {
      const cases = Object.entries(scripts).map(([command, script]) => `${command}) ${script} ;;`);
      const note = `echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> ${record}`;
      const text = ['#!/bin/sh', 'stdin=$(cat)', note, 'case $CNI_COMMAND in', ...cases, 'esac', ''].join('\n');
      await writeFile(file(name), text);
      await chmod(file(name), 0o755);
      await writeFile(record, '');
    },
    file,
    calls: async () => (await readFile(record, 'utf8')).split('\n').filter((line) => line !== ''),
  };
}
