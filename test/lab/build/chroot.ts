// Runs programs of an unpacked root on this machine.
import { run } from '../../../tools/program.ts';

/** A shell script inside `root`, with /proc and /dev/null there for as long. Gives its stdout; throws what it said when it fails. */
export async function inside(root: string, script: string, ...args: readonly string[]): Promise<string> {
  const outer = `
    set -e
    mkdir -p "$1/proc" "$1/dev" && touch "$1/dev/null"
    mount -t proc proc "$1/proc" && mount --bind /dev/null "$1/dev/null"
    shift && exec chroot "$@"
  `;
  const command = ['-m', 'sh', '-c', outer, 'sh', root, root, '/usr/bin/bash', '-euc', script, 'bash', ...args];
  const { exitCode, stdout, all } = await run('unshare', command, {
    reject: false,
    all: true,
    seconds: 300,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    extendEnv: false,
  });
  if (exitCode !== 0)
    throw new Error(`in ${root}: ${script.trim().slice(0, 300)}\nended with status ${exitCode}: ${all.trim().slice(-1500)}`);
  return stdout;
}
