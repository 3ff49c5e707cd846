// The only place that runs programs: with argument lists (no shell), LC_ALL=C, a limit in time and a limit of output. The output is text.
import { messageOf, TimedOut } from '../base/errors.ts';
import { type Running, spawn } from './spawn.ts';

export interface RunOptions {
  /** The program's stdin. */
  readonly input?: string;
  /** The whole environment except LC_ALL. Default: PATH alone. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until SIGKILL, which also goes to everything that it started. Default 10 000. */
  readonly timeout?: number;
  /** Bytes of output per stream, after which the program is killed. Default 1 MiB. */
  readonly maxBuffer?: number;
  /** Aborted: the program is killed as at the end of its time. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Run = (file: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>;

/** Milliseconds between two looks at how much a program has written, and for one that was killed to be gone. */
const [glance, dying] = [100, 1000];

/** Runs a program to its end. A non-zero exit status is a result. Throws when it is not found, is killed, takes too long or writes too much. */
export const run: Run = async (
  file,
  args,
  { input = '', env = pathOnly(), timeout = 10_000, maxBuffer = 1024 * 1024, signal: given } = {},
) => {
  given?.throwIfAborted();
  const deadline = performance.now() + timeout;
  using running = spawn({ file, args, env: { ...env, LC_ALL: 'C' }, stdin: input });
  const problem = await watch(running, { timeout, deadline, maxBuffer, ...(given && { signal: given }) });
  if (problem !== undefined) throw new (performance.now() < deadline ? Error : TimedOut)(`${file} ${problem}`);
  const { exitCode, signal, ...output } = running.result();
  const [stdout, stderr] = [output.stdout.toString(), output.stderr.toString()];
  if (exitCode === undefined)
    throw new Error(`${file} died of signal ${signal}${stderr.trim() === '' ? '' : `: ${stderr.trim().slice(-500)}`}`);
  return { exitCode, stdout, stderr };
};

type Limits = Required<Pick<RunOptions, 'timeout' | 'maxBuffer'>> & Pick<RunOptions, 'signal'> & { readonly deadline: number };

/** Waits for the end. Returns why the program had to be killed, if it had to. */
async function watch(running: Running, { timeout, deadline, maxBuffer, signal }: Limits): Promise<string | undefined> {
  for (;;) {
    const left = deadline - performance.now();
    const ended = await running.ended(Math.min(glance, Math.max(left, 0)));
    const problem =
      running.written() > maxBuffer
        ? `wrote more than ${maxBuffer} bytes`
        : left <= 0
          ? `did not end within ${timeout} ms`
          : signal?.aborted
            ? `is not wanted any more (${messageOf(signal.reason)})`
            : undefined;
    if (ended) return running.written() > maxBuffer ? `${problem} and was killed` : undefined;
    if (problem === undefined) continue;
    running.kill();
    if (await running.ended(dying)) return `${problem} and was killed`;
    return `${problem} and was killed, but the kernel does not let it end (process ${running.pid})`;
  }
}

function pathOnly(): Readonly<Record<string, string>> {
  return { PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin' };
}
