// The C library's calls to start a program and to wait for its end, each one checked. What is made of them is host/program's.
import koffi, { type KoffiFunc } from 'koffi';
import { SystemError, succeed } from './libc.ts';

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

export interface Command {
  /** Looked for on the PATH where it is a bare name. */
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** A descriptor of a file that has no name and ends with its last descriptor; closed on exec. */
export function openMemoryFile(name: string, attempt: string): number {
  return succeed(memfdCreate(name, MFD_CLOEXEC), `${attempt}: memfd_create`);
}

/** A descriptor that becomes readable when that child ends. */
export function openProcess(pid: number, attempt: string): number {
  return succeed(syscall(SYS_pidfd_open, pid, 0), `${attempt}: pidfd_open`);
}

/** The status of a child as waitpid(2) gives it, once; undefined while it runs. */
export function reapChild(pid: number): number | undefined {
  const status = Buffer.alloc(4);
  return succeed(waitpid(pid, status, WNOHANG), `waitpid for process ${pid}`) === pid ? status.readInt32LE() : undefined;
}

/** @param streams - what becomes the program's descriptors 0, 1 and so on. @returns its process number. */
export function startProgram({ file, args, env }: Command, streams: readonly number[]): number {
  /** Most of these calls return the errno itself. */
  const obey = (errno: number) => {
    if (errno !== 0) throw new SystemError(`start ${file}`, errno);
  };
  const [actions, attributes, set, pid] = [
    Buffer.alloc(structSize),
    Buffer.alloc(structSize),
    Buffer.alloc(128),
    Buffer.alloc(4),
  ];
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  obey(actionsInit(actions));
  try {
    for (const [to, fd] of streams.entries()) obey(actionsDup(actions, fd, to));
    obey(attributesInit(attributes));
    obey(attributesFlags(attributes, spawnFlags));
    succeed(sigfillset(set), `start ${file}`);
    obey(attributesDefault(attributes, set));
    succeed(sigemptyset(set), `start ${file}`);
    obey(attributesMask(attributes, set));
    obey(posixSpawnp(pid, file, actions, attributes, [file, ...args, null], [...variables, null]));
  } finally {
    actionsDestroy(actions);
  }
  return pid.readInt32LE();
}
