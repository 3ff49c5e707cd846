// The only place that starts programs: argument lists (no shell), LC_ALL=C, a time limit, output as text.
import { execa } from 'execa';
import { messageOf } from './errors.ts';

export interface RunOptions {
  /** Written to the program's stdin, which is then closed. */
  readonly input?: string;
  /** The whole environment but LC_ALL; the server's own when absent. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until SIGKILL. Default 10 000. */
  readonly timeout?: number;
  /** Bytes of output per stream, after which the program is killed. Default 1 MiB. */
  readonly maxBuffer?: number;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Run = (file: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>;

/** Runs a program to its end. A non-zero exit status is a result; not found, killed, timed out or too talkative is thrown. */
export const run: Run = async (file, args, options = {}) => {
  const result = await execa(file, args, {
    env: { ...options.env, LC_ALL: 'C' },
    extendEnv: options.env === undefined,
    input: options.input ?? '',
    timeout: options.timeout ?? 10_000,
    killSignal: 'SIGKILL',
    maxBuffer: options.maxBuffer ?? 1024 * 1024,
    stripFinalNewline: false,
    reject: false,
  });
  const limit = options.timeout ?? 10_000;
  if (result.timedOut) throw new Error(`${file} did not end within ${limit} ms and was killed`);
  if (result.isMaxBuffer) throw new Error(`${file} wrote more than ${options.maxBuffer ?? 1024 * 1024} bytes and was killed`);
  if (result.exitCode === undefined) throw new Error(`${file}: ${result.signal ?? messageOf(result.cause)}`, { cause: result });
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
};
