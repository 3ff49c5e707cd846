// What is mounted where, and how. proc_pid_mountinfo(5), mount(2)
import { readFileSync } from 'node:fs';
import { remount } from './libc.ts';

/** Pure. The options of the mount at exactly this path; undefined when nothing is mounted there. @param text - the text of /proc/self/mountinfo. */
export function mountOptions(text: string, place: string): readonly string[] | undefined {
  // Fields: ID, parent, device, root, mount point, options. Of several mounts at one path the last one counts.
  const mounts = text.split('\n').map((line) => line.split(' '));
  return mounts.findLast(([, , , , point]) => point === place)?.[5]?.split(',');
}

const MS_REMOUNT = 0x20;
const MS_BIND = 0x1000;
const MS_NOSYMFOLLOW = 0x100;
/** A remount loses these options unless it names them again. */
const flags: Readonly<Record<string, number>> = { ro: 0x1, nosuid: 0x2, nodev: 0x4, noexec: 0x8 };

/** From now on, symbolic links below that mount lead nowhere in our mount namespace. @throws Error where the kernel can't do that (Linux before 5.10). */
export function forbidSymlinks(place: string): void {
  const options = mountOptions(readFileSync('/proc/self/mountinfo', 'utf8'), place);
  if (options === undefined) throw new Error(`${place} is no mount of its own`);
  if (options.includes('nosymfollow')) return;
  const kept = options.reduce((sum, option) => sum | (flags[option] ?? 0), 0);
  remount(place, MS_REMOUNT | MS_BIND | MS_NOSYMFOLLOW | kept);
}
