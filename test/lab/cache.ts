// Where the lab's built parts lie: one folder that can be thrown away. Each part is named after what it is made from, so a changed
// recipe makes a new one and a running guest keeps its own.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const top = join(import.meta.dirname, '../..');
export const cache = resolve(process.env['SMARTNIC_LAB'] ?? join(top, '.cache/lab'));

/** The recipe of each part: the files in `test/lab` that say how it is made. */
const recipes = {
  qemu: ['build/qemu.ts'],
  root: ['build/root.ts'],
  kernel: ['build/kernel.ts', 'guest/netdevsim.patch'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Part = keyof typeof recipes;
const parts = Object.keys(recipes) as readonly Part[];

/** The folder of a part, there or not. */
export function folderOf(part: Part): string {
  const hash = createHash('sha256');
  for (const file of recipes[part]) hash.update(readFileSync(join(import.meta.dirname, file)));
  return join(cache, `${part}-${hash.digest('hex').slice(0, 8)}`);
}

/** The parts that still have to be built. */
export function missingParts(): readonly Part[] {
  return parts.filter((part) => !existsSync(folderOf(part)));
}

/** The one version of Linux in the kernel part, such as `6.12.107+deb13-amd64`. */
export function kernelVersion(): string {
  const [version] = readdirSync(join(folderOf('kernel'), 'root/usr/lib/modules'));
  if (version === undefined) throw new Error(`no modules in ${folderOf('kernel')}; remove that folder and build the lab again`);
  return version;
}
