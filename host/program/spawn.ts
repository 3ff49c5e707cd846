// Starts a program without a copy of this process: posix_spawn shares the memory until exec, where libuv's fork copies page tables. In a process of
// 100 MB on a busy machine of two CPUs nothing else runs for 1.5 ms meanwhile, and for 18 ms with child_process (`npm run bench spawn`, medians).
// Standard streams are memory files: nothing blocks, and the output is there when the program ends.
import { closeSync, existsSync, fstatSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readable, SystemError, whenReadable } from '../kernel/libc.ts';
import { type Command, openMemoryFile, openProcess, reapChild, startProgram } from '../kernel/processes.ts';

export interface Program extends Command {
  readonly stdin: string | Uint8Array;
}

/** Disposing one that has not ended, because the kernel keeps it, gives up its output. It is still reaped whenever it ends. */
export interface Running extends Disposable {
  /** Resolves true when it has ended, false after `timeout` milliseconds. Holds no thread. */
  ended(timeout: number): Promise<boolean>;
  /** Bytes written so far to stdout and stderr, the larger of both. */
  written(): number;
  /** Of the program and of everything it started. */
  kill(): void;
  readonly pid: number;
  /** Resolves when it has ended and is reaped, however long that takes. */
  readonly gone: Promise<void>;
  /** Only after it has ended. */
  result(): { readonly exitCode?: number; readonly signal?: number; readonly stdout: Buffer; readonly stderr: Buffer };
}

/** @throws Error with the kernel's words, such as ENOENT for a program that is not there, and the remedy where there is one. */
export function spawn(program: Program): Running {
  try {
    return begin(program);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const hint = machineHints[error.code] ?? (existsSync(program.file) ? fileHints[error.code] : undefined);
    if (hint === undefined) throw error;
    throw new Error(`${error.message}; ${hint}`, { cause: error });
  }
}

/** The kernel has one word for a file that is missing and for a file whose interpreter is, as a shell script's in an image without a shell. */
const fileHints: Readonly<Record<string, string>> = {
  ENOENT: "the file is there, but not what runs it: its first line's interpreter, or its dynamic loader",
  ENOEXEC: 'it is no program for this machine, nor a script whose first line begins with #!',
  EACCES: 'it is not executable, or lies on a file system mounted noexec',
};

const machineHints: Readonly<Record<string, string>> = {
  EMFILE: `this process has as many files open as it may, and ls -l /proc/${process.pid}/fd lists them`,
  ENFILE: 'the whole machine has as many files open as it may: sysctl fs.file-nr fs.file-max',
  EAGAIN: "no more processes are allowed here: the container's pids.max, or ulimit -u",
  ENOMEM: 'the machine or this container is out of memory',
  ENOSYS: 'this needs Linux 5.3 or newer',
};

function begin({ stdin, ...command }: Program): Running {
  const attempt = `start ${command.file}`;
  using undo = new DisposableStack();
  const memory = (name: string) => undo.adopt(openMemoryFile(name, attempt), closeSync);
  const [input, output, errors] = [memory('stdin'), memory('stdout'), memory('stderr')];
  const bytes = Buffer.from(stdin);
  for (let at = 0; at < bytes.length; ) at += writeSync(input, bytes, at, bytes.length - at, at);
  const pid = startProgram(command, [input, output, errors]);
  const pidfd = openOrKill(pid, attempt);
  const kept = undo.move();
  const gone = Promise.withResolvers<void>();
  let status: number | undefined;
  const reap = () => {
    status ??= reapChild(pid);
    if (status !== undefined) gone.resolve();
    return status !== undefined;
  };
  return {
    pid,
    gone: gone.promise,
    ended: async (timeout) => reap() || ((await readable(pidfd, timeout)) && reap()),
    written: () => Math.max(fstatSync(output).size, fstatSync(errors).size),
    kill: () => {
      // Not yet reaped, so the number is still its own.
      if (!reap()) process.kill(-pid, 'SIGKILL');
    },
    result: () => {
      if (status === undefined) throw new Error(`${command.file} has not ended yet`);
      const [word, texts] = [status, { stdout: readAll(output), stderr: readAll(errors) }];
      const signal = word & 0x7f;
      return signal === 0 ? { exitCode: (word >> 8) & 0xff, ...texts } : { signal, ...texts };
    },
    [Symbol.dispose]: () => {
      kept.dispose();
      const close = () => {
        reap();
        closeSync(pidfd);
      };
      if (reap()) close();
      else void whenReadable(pidfd).then(close);
    },
  };
}

/** A program whose end could not be seen must not run on: nobody would know of it. */
function openOrKill(pid: number, attempt: string): number {
  try {
    return openProcess(pid, attempt);
  } catch (error) {
    process.kill(-pid, 'SIGKILL');
    void reapInTime(pid);
    throw error;
  }
}

async function reapInTime(pid: number): Promise<void> {
  while (reapChild(pid) === undefined) await sleep(20, undefined, { ref: false });
}

function readAll(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  let size = 0;
  for (let more = 1; more > 0 && size < bytes.length; size += more) more = readSync(fd, bytes, size, bytes.length - size, size);
  return bytes.subarray(0, size);
}
