// Processes that are not our children. They are found by a word of their command line. Their start time distinguishes them from later
// processes with the same number. proc_pid_stat(5), proc_pid_cmdline(5)
import { setTimeout as sleep } from 'node:timers/promises';
import { listDirectory, readText } from '../host/kernel/sysfs.ts';

export interface Process {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly started: number;
}

/** One that has exactly this argument; undefined when there is none. @throws Error when /proc can't be read, as at EMFILE. */
export function findProcess(argument: string): Process | undefined {
  for (const name of listDirectory('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = readText(`/proc/${name}/cmdline`)?.split('\0');
    if (words?.includes(argument)) return processOf(Number(name));
  }
  return undefined;
}

/**
 * Undefined when there is no such process, or when it has ended and only its exit status is left. A process of which only the first thread
 * has ended still has all its files open: the busy thread of a killed relay may be the last one to end. @throws Error as findProcess.
 */
export function processOf(pid: number): Process | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, threads, started] = [fields?.[0], Number(fields?.[17]), fields?.[19]];
  const ended = state === 'X' || (state === 'Z' && threads <= 1);
  return started === undefined || ended ? undefined : { pid, started: Number(started) };
}

export function isRunning({ pid, started }: Process): boolean {
  return processOf(pid)?.started === started;
}

/** Milliseconds for the kernel to end a process. */
const patience = 30_000;

/** Ends the process with this argument, if there is one, and waits until it is gone. @throws Error when the kernel does not end it. */
export async function endProcess(argument: string): Promise<void> {
  const found = findProcess(argument);
  if (found === undefined) return;
  kill(found);
  const end = performance.now() + patience;
  while (isRunning(found)) {
    if (performance.now() > end)
      throw new Error(`process ${found.pid} was killed, and the kernel has not ended it after ${patience} ms`);
    await sleep(50);
  }
}

/** Not asked kindly: testpmd would look only once a second, and the kernel resets a vf whose vfio file is closed, however that happens. */
export function kill({ pid }: Pick<Process, 'pid'>): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
