// A hash of everything that an image's build reads. It shows whether the image is up to date.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { top } from './names.ts';

const folders = [
  'cni',
  'deploy/install',
  'device-plugin',
  'host',
  'inventory',
  'network',
  'operator',
  'proto',
  'supervisor',
  'tools',
  'vnic',
];
const files = ['Dockerfile', '.dockerignore', 'package.json', 'package-lock.json', 'tsconfig.json'];

export function contextKey(): string {
  const inside = folders.flatMap((folder) =>
    readdirSync(join(top, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
  );
  const all = [...files, ...inside.filter((name) => !name.startsWith('proto/generated'))].filter((name) =>
    statSync(join(top, name)).isFile(),
  );
  const hash = createHash('sha256');
  for (const name of all.sort())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(top, name)))
      .update('\0');
  return hash.digest('hex');
}
