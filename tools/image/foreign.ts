// Builds for the other architecture: this program runs again where the kernel gives that architecture's executables to QEMU. No setting of the
// machine changes. Since Linux 6.7 each user namespace has a binfmt_misc of its own, so one is made, in which every id is the same as outside.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { start } from '../program.ts';

/** Matches the start of an ELF header: 64 bits, little-endian, executable or shared object, EM_AARCH64. F: QEMU is found in a chroot, too. */
const rule = [
  '',
  'qemu-aarch64',
  'M',
  '',
  String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`,
  String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`,
  '/usr/bin/qemu-aarch64-static',
  'F',
].join(':');

/** Waits until its ids are set. After that, whatever it starts is root in the namespace. */
const script = `
  echo >&3; read -r _; exec 3>&-
  mount -t proc proc /proc
  mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || { echo "build:image: no binfmt_misc of a user namespace: Linux 6.7 or newer has it" >&2; exit 1; }
  printf %s "$0" >/proc/sys/fs/binfmt_misc/register && exec "$@"`;

/** Runs the same command line there. names.ts learns the architecture from the environment. Resolves with the exit status. */
export async function runEmulated(arch: 'arm64'): Promise<number> {
  const namespaces = ['--user', '--mount', '--pid', '--fork', '--kill-child'];
  const inside = start('unshare', [...namespaces, 'sh', '-c', script, rule, ...process.argv], {
    env: { SMARTNIC_IMAGE_ARCH: arch },
    stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
    reject: false,
  });
  const waits = once(inside.stdio[3] as Readable, 'data').then(() => true);
  if (await Promise.race([waits, inside.then(() => false)]))
    for (const kind of ['uid', 'gid']) writeFileSync(`/proc/${inside.pid}/${kind}_map`, '0 0 4294967295');
  inside.stdin.end('\n');
  return (await inside).exitCode ?? 1;
}
