// Starts the programs of builds, tests and the demonstration. Each has a limit in time. A program that hangs is killed with all that it started,
// and is reported by its command line.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ExecaSyncError, execa, execaSync, type Options, type SyncOptions } from 'execa';

/** Starts a program that runs until its caller ends it, such as a server. */
export { execa as start } from 'execa';

export interface Limits {
  /** Seconds until it is killed. Default 60. */
  readonly seconds?: number;
  /** How often a program that hung is started. More than once is for programs that may be repeated: builds, `--help`, compilers. Default 1. */
  readonly tries?: number;
}

/** Runs a program to its end, with execa's options and results. @throws HungError, and what execa throws. */
export async function run<T extends Options = Record<never, never>>(
  file: string,
  args: readonly string[] = [],
  options: T & Limits = {} as T,
): Promise<Ended<T>> {
  const { seconds = 60, tries = 1 } = options;
  for (let attempt = 1; ; attempt++) {
    const child = begin<T>(file, args, options);
    if (await endsWithin(child, seconds)) return await child;
    killTree(child.pid);
    // Nobody waits for a process that the kernel holds.
    await endsWithin(child, 10);
    const error = new HungError([file, ...args], seconds);
    if (attempt >= tries) throw error;
    console.log(`==> ${error.message}; trying once more`);
  }
}

const begin = <T extends Options>(file: string, args: readonly string[], options: T) => execa(file, args, options);
type Ended<T extends Options> = Awaited<ReturnType<typeof begin<T>>>;

/** Does the same while everything else in this process waits. */
export function runSync<T extends SyncOptions = Record<never, never>>(
  file: string,
  args: readonly string[] = [],
  options: T & Pick<Limits, 'seconds'> = {} as T,
) {
  const { seconds = 60 } = options;
  try {
    const result = execaSync<T>(file, args, { ...options, timeout: seconds * 1000, killSignal: 'SIGKILL' });
    if (!result.timedOut) return result;
  } catch (error) {
    if (!(error instanceof ExecaSyncError && error.timedOut)) throw error;
  }
  throw new HungError([file, ...args], seconds);
}

/** Whether it ends in that time, well or not. */
async function endsWithin(child: PromiseLike<unknown>, seconds: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(seconds * 1000, false, { signal: timer.signal }).catch(() => false);
  const ended = child.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([ended, late]);
  } finally {
    timer.abort();
  }
}

/** A program did not end in its time. */
export class HungError extends Error {
  override readonly name = 'HungError';
  constructor(command: readonly string[], seconds: number) {
    super(`hung, and was killed after ${Math.round(seconds * 10) / 10} s: ${command.join(' ')}`);
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
}

/** Kills a process, its descendants, and every process in a process group or a session that one of them leads. */
function killTree(root: number | undefined): void {
  if (root === undefined) return;
  // They are stopped first, so that none of them starts another one meanwhile.
  const stopped = new Set<number>();
  for (let found = treeOf(root, stopped); found.length > 0; found = treeOf(root, stopped))
    for (const pid of found) {
      signal(pid, 'SIGSTOP');
      stopped.add(pid);
    }
  for (const pid of stopped) signal(pid, 'SIGKILL');
}

/** The tree's processes that are not in `known` yet. */
function treeOf(root: number, known: ReadonlySet<number>): readonly number[] {
  const all = listProcesses();
  const tree = new Set([root, ...known]);
  for (let before = 0; before < tree.size; ) {
    before = tree.size;
    for (const { pid, parent, group, session } of all)
      if (tree.has(parent) || tree.has(group) || tree.has(session)) tree.add(pid);
  }
  return all.map(({ pid }) => pid).filter((pid) => tree.has(pid) && !known.has(pid));
}

/** Source: proc_pid_stat(5). The name, in parentheses, may contain any character. */
function listProcesses(): readonly Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const [parent = 0, group = 0, session = 0] = statOf(name).split(' ').slice(1).map(Number);
      return parent === 0 ? [] : [{ pid: Number(name), parent, group, session }];
    });
}

/** The text from the state on. Empty when the process is gone. */
function statOf(name: string): string {
  try {
    const text = readFileSync(`/proc/${name}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2);
  } catch {
    return '';
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it is gone by itself
  }
}
