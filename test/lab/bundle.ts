// Runs a TypeScript file of ours in the guest: bundled to one file, because loading modules one by one is slow under emulation.
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import type { JobOptions } from './jobs.ts';
import type { Lab } from './lab.ts';
import { quote } from './shell.ts';

/** Its stdout; a non-zero exit is thrown. koffi is the one that ships. */
export async function runFile(lab: Lab, file: string, args: readonly string[] = [], options?: JobOptions): Promise<string> {
  const name = `${basename(file, '.ts')}.mjs`;
  await build({
    entryPoints: [file],
    outfile: join(lab.share, name),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: ['koffi'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  await lab.sh('[ -e /share/node_modules ] || cp -r /smartnic/dist/node_modules /share/');
  return await lab.sh(`node /share/${name} ${args.map(quote).join(' ')}`, options);
}
