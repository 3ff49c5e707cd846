// A TypeScript file of ours for the guest: bundled to one file, because loading modules one by one is slow under emulation.
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import type { Lab } from './lab.ts';

/** Its path in the guest. */
export async function bundle(lab: Lab, file: string): Promise<string> {
  const name = `${basename(file, '.ts')}.mjs`;
  await build({
    entryPoints: [file],
    outfile: join(lab.share, name),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  return `/share/${name}`;
}
