// Where the cluster's programs lie: one folder that can be thrown away, named after what they are made from.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const top = join(import.meta.dirname, '../..');
export const cache = resolve(process.env['SMARTNIC_CLUSTER'] ?? join(top, '.cache/cluster'));

const recipe = ['build/programs.ts', 'build/go/go.mod', 'build/go/go.sum'];

/** The folder of all programs, there or not. */
export function programsFolder(): string {
  const hash = createHash('sha256');
  for (const file of recipe) hash.update(readFileSync(join(import.meta.dirname, file)));
  return join(cache, `programs-${hash.digest('hex').slice(0, 8)}`);
}

/** Of another version than the rest: `KUBELET=1.35.4`. */
export const kubeletVersion = process.env['KUBELET'];

/** The folder of that kubelet, there or not. */
export function kubeletFolder(): string {
  return kubeletVersion === undefined ? programsFolder() : join(cache, `kubelet-${kubeletVersion}`);
}

export function isBuilt(): boolean {
  return existsSync(programsFolder()) && existsSync(kubeletFolder());
}
