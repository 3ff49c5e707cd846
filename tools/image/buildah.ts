// buildah with a storage of our own, without a container engine or a daemon.
import { join } from 'node:path';
import { run } from '../program.ts';
import { arch, cache, emulated, suffix } from './names.ts';

const env = { BUILDAH_ISOLATION: 'chroot' };
// dpkg renames folders, which an overlay that a user namespace mounts refuses.
const driver = emulated ? ['--storage-driver', 'vfs'] : [];
const storage = [...driver, '--root', join(cache, `storage${suffix}`), '--runroot', join(cache, `run${suffix}`)];

/** For one call, at the most. The Dockerfile's steps have limits of their own. */
const seconds = emulated ? 90 * 60 : 30 * 60;

/** For what makes an image. */
export const platform = emulated ? [`--platform=linux/${arch}`] : [];

/** Its stdout; what it says meanwhile goes to the terminal. Throws with its last words. */
export async function buildah(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('buildah', [...storage, ...args], { seconds, env, stdin: 'ignore', stderr: ['inherit', 'pipe'] });
  return stdout.trim();
}

/** As above, and its stdout goes to the terminal as well: it is the output of the Dockerfile's steps. */
export async function buildahAloud(...args: readonly string[]): Promise<void> {
  await run('buildah', [...storage, ...args], { seconds, env, stdio: ['ignore', 'inherit', ['inherit', 'pipe']] });
}
