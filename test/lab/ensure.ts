// Makes sure that the lab is built, by one process at a time.
import { join } from 'node:path';
import { notPossibleHere } from '../../tools/exit.ts';
import { buildOnce } from '../support/build-once.ts';
import { cache, missingParts } from './cache.ts';

/** The lab is not there and can't be built here, because its packages can't be had. What was tried has been printed. */
export class LabUnavailable extends Error {
  override readonly name = 'LabUnavailable';
}

/** Builds what is missing (two minutes the first time), printing each step. */
export async function ensureLab(): Promise<void> {
  const missing = missingParts();
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) throw new Error('the lab has to be built and run by root');
  console.log(`==> lab: ${missing.join(', ')} to be built in ${cache} (another build is waited for)`);
  const exitCode = await buildOnce(cache, join(import.meta.dirname, 'build/build.ts'), 30 * 60);
  if (exitCode === 0) return;
  throw exitCode === notPossibleHere
    ? new LabUnavailable('the packages of the lab can not be had here, see above')
    : new Error('the lab could not be built, see above');
}
