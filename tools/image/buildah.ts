// Runs buildah with a storage of our own, without a container engine and without a daemon.
import { join } from 'node:path';
import { run } from '../program.ts';
import { arch, cache, emulated, suffix } from './names.ts';

const env = { BUILDAH_ISOLATION: 'chroot' };
// dpkg renames folders. An overlay that was mounted in a user namespace refuses that.
const driver = emulated ? ['--storage-driver', 'vfs'] : [];
const storage = [...driver, '--root', join(cache, `storage${suffix}`), '--runroot', join(cache, `run${suffix}`)];

/** The limit for one call. The Dockerfile's steps have limits of their own. */
const seconds = emulated ? 90 * 60 : 30 * 60;

/** Options for commands that make an image. */
export const platform = emulated ? [`--platform=linux/${arch}`] : [];

/** Resolves with its stdout. Its stderr goes to the terminal, too. Throws with its last words. */
export async function buildah(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('buildah', [...storage, ...args], { seconds, env, stdin: 'ignore', stderr: ['inherit', 'pipe'] });
  return stdout.trim();
}

/** Like buildah, but its stdout also goes to the terminal, because it is the output of the Dockerfile's steps. */
export async function buildahAloud(...args: readonly string[]): Promise<void> {
  await run('buildah', [...storage, ...args], { seconds, env, stdio: ['ignore', 'inherit', ['inherit', 'pipe']] });
}
