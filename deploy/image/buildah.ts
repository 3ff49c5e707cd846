// buildah with a storage of our own, without a container engine, a daemon or user namespaces.
import { join } from 'node:path';
import { execa } from 'execa';
import { cache } from './names.ts';

const env = { BUILDAH_ISOLATION: 'chroot', STORAGE_DRIVER: 'vfs' };
const storage = ['--root', join(cache, 'storage'), '--runroot', join(cache, 'run')];

/** Its stdout; what it says meanwhile goes to the terminal. Throws with its last words. */
export async function buildah(...args: readonly string[]): Promise<string> {
  const { stdout } = await execa('buildah', [...storage, ...args], { env, stdin: 'ignore', stderr: ['inherit', 'pipe'] });
  return stdout.trim();
}

/** As above, and its stdout goes to the terminal as well: it is the output of the Dockerfile's steps. */
export async function buildahAloud(...args: readonly string[]): Promise<void> {
  await execa('buildah', [...storage, ...args], { env, stdio: ['ignore', 'inherit', ['inherit', 'pipe']] });
}
