// Makes sure that the cluster's programs are built, by one process at a time.
import { join } from 'node:path';
import { notPossibleHere } from '../../tools/exit.ts';
import { buildOnce } from '../support/build-once.ts';
import { cache, isBuilt } from './cache.ts';

/** The programs are not there and can't be built here: no Go toolchain, or its modules can't be had. What was tried has been printed. */
export class ClusterUnavailable extends Error {
  override readonly name = 'ClusterUnavailable';
}

/** Builds what is missing (a quarter of an hour the first time), printing how far it is. */
export async function ensurePrograms(): Promise<void> {
  if (isBuilt()) return;
  console.log(`==> cluster: programs to be built in ${cache} (another build is waited for)`);
  const exitCode = await buildOnce(cache, join(import.meta.dirname, 'build/build.ts'), 60 * 60);
  if (exitCode === 0) return;
  throw exitCode === notPossibleHere
    ? new ClusterUnavailable("the cluster's programs can not be had here, see above")
    : new Error("the cluster's programs could not be built, see above");
}
