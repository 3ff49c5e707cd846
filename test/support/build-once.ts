// Runs a build in one process at a time. Other processes wait for it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';

/** Runs the builder, a script that asks again what is missing, and gives its exit status. What it says goes to the terminal. */
export async function buildOnce(cache: string, builder: string, seconds: number): Promise<number | undefined> {
  mkdirSync(cache, { recursive: true });
  // The kernel frees the lock when its holder ends, in whatever way.
  const { exitCode } = await run('flock', [join(cache, 'lock'), process.execPath, builder], {
    stdio: ['ignore', 'inherit', 'inherit'],
    reject: false,
    seconds,
  });
  return exitCode;
}
