// Starts a program without a copy of this process: posix_spawn shares the memory until exec, where libuv's fork copies page tables,
// 5 ms of standstill at 150 MB resident. Standard streams are memory files: nothing blocks, and the output is there when the program ends.
import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import koffi, { type KoffiFunc } from 'koffi';
import { readable, SystemError, whenReadable } from '../kernel/libc.ts';

type Strings = readonly (string | null)[];
type Bytes = Uint8Array;

const libc = koffi.load(null);
const memfdCreate: KoffiFunc<(name: string, flags: number) => number> = libc.func(
  'int memfd_create(const char *name, unsigned int flags)',
);
const syscall: KoffiFunc<(number: number, a: number, b: number) => number> = libc.func(
  'long syscall(long number, long a, long b)',
);
const waitpid: KoffiFunc<(pid: number, status: Bytes, options: number) => number> = libc.func(
  'int waitpid(int pid, void *status, int options)',
);
const sigfillset: KoffiFunc<(set: Bytes) => number> = libc.func('int sigfillset(void *set)');
const sigemptyset: KoffiFunc<(set: Bytes) => number> = libc.func('int sigemptyset(void *set)');
const posixSpawnp: KoffiFunc<
  (pid: Bytes, file: string, actions: Bytes, attributes: Bytes, argv: Strings, envp: Strings) => number
> = libc.func(
  'int posix_spawnp(void *pid, const char *file, void *actions, void *attributes, const char **argv, const char **envp)',
);
const actionsInit: KoffiFunc<(actions: Bytes) => number> = libc.func('int posix_spawn_file_actions_init(void *actions)');
const actionsDup: KoffiFunc<(actions: Bytes, fd: number, to: number) => number> = libc.func(
  'int posix_spawn_file_actions_adddup2(void *actions, int fd, int to)',
);
const actionsDestroy: KoffiFunc<(actions: Bytes) => number> = libc.func('int posix_spawn_file_actions_destroy(void *actions)');
const attributesInit: KoffiFunc<(attributes: Bytes) => number> = libc.func('int posix_spawnattr_init(void *attributes)');
const attributesFlags: KoffiFunc<(attributes: Bytes, flags: number) => number> = libc.func(
  'int posix_spawnattr_setflags(void *attributes, short flags)',
);
const attributesDefault: KoffiFunc<(attributes: Bytes, set: Bytes) => number> = libc.func(
  'int posix_spawnattr_setsigdefault(void *attributes, void *set)',
);
const attributesMask: KoffiFunc<(attributes: Bytes, set: Bytes) => number> = libc.func(
  'int posix_spawnattr_setsigmask(void *attributes, void *set)',
);

/** Larger than the structs of any C library (glibc: 80 and 336 bytes); sigset_t is 128. */
const structSize = 512;
const MFD_CLOEXEC = 1;
const SYS_pidfd_open = 434; // the same on all architectures
const WNOHANG = 1;
/** SETPGROUP: a group of its own, so that what it started can be killed with it. SETSIGMASK and SETSIGDEF: no signal is ignored. */
const spawnFlags = 0x02 | 0x04 | 0x08;

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
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
  /** Only after it has ended. */
  result(): { readonly exitCode?: number; readonly signal?: number; readonly stdout: Buffer; readonly stderr: Buffer };
}

/** Throws SystemError with the C library's words, such as ENOENT for a program that is not there. */
export function spawn({ file, args, env, stdin }: Program): Running {
  using undo = new DisposableStack();
  const memory = (name: string) => undo.adopt(memfdCreate(name, MFD_CLOEXEC), closeSync);
  const [input, output, errors] = [memory('stdin'), memory('stdout'), memory('stderr')];
  const bytes = Buffer.from(stdin);
  for (let at = 0; at < bytes.length; ) at += writeSync(input, bytes, at, bytes.length - at, at);
  const pid = start({ file, args, env }, [input, output, errors]);
  const pidfd = syscall(SYS_pidfd_open, pid, 0);
  const kept = undo.move();
  const status = Buffer.alloc(4);
  let reaped = false;
  const reap = () => {
    reaped ||= waitpid(pid, status, WNOHANG) === pid;
    return reaped;
  };
  return {
    pid,
    ended: async (timeout) => reap() || ((await readable(pidfd, timeout)) && reap()),
    written: () => Math.max(fstatSync(output).size, fstatSync(errors).size),
    kill: () => {
      // Not yet reaped, so the number is still its own.
      if (!reap()) process.kill(-pid, 'SIGKILL');
    },
    result: () => {
      const [word, texts] = [status.readInt32LE(), { stdout: readAll(output), stderr: readAll(errors) }];
      const signal = word & 0x7f;
      return signal === 0 ? { exitCode: (word >> 8) & 0xff, ...texts } : { signal, ...texts };
    },
    [Symbol.dispose]: () => {
      kept.dispose();
      const gone = reap();
      if (gone) closeSync(pidfd);
      else
        void whenReadable(pidfd).then(() => {
          reap();
          closeSync(pidfd);
        });
    },
  };
}

function start({ file, args, env }: Omit<Program, 'stdin'>, streams: readonly number[]): number {
  const [actions, attributes, set, pid] = [
    Buffer.alloc(structSize),
    Buffer.alloc(structSize),
    Buffer.alloc(128),
    Buffer.alloc(4),
  ];
  actionsInit(actions);
  streams.forEach((fd, to) => {
    actionsDup(actions, fd, to);
  });
  attributesInit(attributes);
  attributesFlags(attributes, spawnFlags);
  sigfillset(set);
  attributesDefault(attributes, set);
  sigemptyset(set);
  attributesMask(attributes, set);
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const errno = posixSpawnp(pid, file, actions, attributes, [file, ...args, null], [...variables, null]);
  actionsDestroy(actions);
  if (errno !== 0) throw new SystemError(`start ${file}`, errno);
  return pid.readInt32LE();
}

function readAll(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size);
  let size = 0;
  for (let more = 1; more > 0 && size < bytes.length; size += more) more = readSync(fd, bytes, size, bytes.length - size, size);
  return bytes.subarray(0, size);
}
