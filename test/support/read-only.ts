// Makes a directory read-only, by mounting it over itself.
import { run } from '../../tools/program.ts';

export interface ReadOnly extends AsyncDisposable {
  /** Makes it writable again. */
  end(): Promise<void>;
}

/** @param pid - of the process whose mount namespace is meant; absent: our own. */
export async function mountReadOnly(path: string, pid: number = process.pid): Promise<ReadOnly> {
  const inside = async (...command: readonly string[]) => await run('nsenter', ['--target', String(pid), '--mount', ...command]);
  let mounted = false;
  const end = async () => {
    if (mounted) await inside('umount', '--lazy', path);
    mounted = false;
  };
  await inside('mount', '--bind', path, path);
  mounted = true;
  await inside('mount', '-o', 'remount,bind,ro', path);
  return { end, [Symbol.asyncDispose]: end };
}
