// Processes that are not our children: found by a word of their command line, told apart from later ones with the same number by the
// time they started. proc_pid_stat(5), proc_pid_cmdline(5)
import { listDirectory, readText } from '../host/kernel/sysfs.ts';

export interface Process {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly started: number;
}

/** One that has exactly this argument; undefined when there is none. */
export function findProcess(argument: string): Process | undefined {
  for (const name of listDirectory('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = readGone(() => readText(`/proc/${name}/cmdline`))?.split('\0');
    if (words?.includes(argument)) return processOf(Number(name));
  }
  return undefined;
}

/**
 * Undefined when there is no such process, or it has ended and only its exit status is left. One whose first thread alone has ended still
 * has all its files open: a killed relay's busy thread may be the last to hear of it.
 */
export function processOf(pid: number): Process | undefined {
  const stat = readGone(() => readText(`/proc/${pid}/stat`));
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, threads, started] = [fields?.[0], Number(fields?.[17]), fields?.[19]];
  const ended = state === 'X' || (state === 'Z' && threads <= 1);
  return started === undefined || ended ? undefined : { pid, started: Number(started) };
}

export function isRunning({ pid, started }: Process): boolean {
  return processOf(pid)?.started === started;
}

/** Ends while it is read: ESRCH. */
function readGone(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
