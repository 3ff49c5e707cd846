// The few calls of the C library that Node lacks, bound by koffi. The numbers are those of Linux on x86-64 and arm64 (both little-endian).
// This does not wrap the whole C library: node:fs opens, closes and inspects file descriptors.
import koffi, { type KoffiFunc } from 'koffi';

/** A call of the C library that failed: `code` is the name of its errno, such as `EPERM`. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly code: string;
  readonly errno: number;

  constructor(attempt: string, errno: number) {
    super(`${attempt}: ${describeErrno(errno)}`);
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** The process itself, which has the C library that Node was linked with, whatever its file is called (glibc, musl). */
const libc = koffi.load(null);

type Bytes = Uint8Array;

const strerror: KoffiFunc<(errno: number) => string> = libc.func('const char *strerror(int errno)');
const setnsRaw: KoffiFunc<(fd: number, type: number) => number> = libc.func('int setns(int fd, int type)');
const unshareRaw: KoffiFunc<(flags: number) => number> = libc.func('int unshare(int flags)');
const ioctlRaw: KoffiFunc<(fd: number, request: number, argument: Bytes | null) => number> = libc.func(
  'int ioctl(int fd, unsigned long request, void *argument)',
);
const socketRaw: KoffiFunc<(domain: number, type: number, protocol: number) => number> = libc.func(
  'int socket(int domain, int type, int protocol)',
);
const bindRaw: KoffiFunc<(fd: number, address: Bytes, size: number) => number> = libc.func(
  'int bind(int fd, const void *address, uint32_t size)',
);
const connectRaw: KoffiFunc<(fd: number, address: Bytes, size: number) => number> = libc.func(
  'int connect(int fd, const void *address, uint32_t size)',
);
const setsockoptRaw: KoffiFunc<(fd: number, level: number, name: number, value: Bytes, size: number) => number> = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, uint32_t size)',
);
const flockRaw: KoffiFunc<(fd: number, operation: number) => number> = libc.func('int flock(int fd, int operation)');
const mountRaw: KoffiFunc<(source: string, target: string, type: string | null, flags: number, data: null) => number> = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
);
const sendRaw: KoffiFunc<(fd: number, bytes: Bytes, size: number, flags: number) => number> = libc.func(
  'long send(int fd, const void *bytes, size_t size, int flags)',
);
const recvfromRaw: KoffiFunc<(fd: number, buffer: Bytes, size: number, flags: number, from: Bytes, fromSize: Bytes) => number> =
  libc.func('long recvfrom(int fd, void *buffer, size_t size, int flags, void *from, void *fromSize)');

/** `EEXIST` for 17; `errno 999` for a number without a name. */
export function errnoName(errno: number): string {
  const known = Object.entries(koffi.os.errno).find(([, value]) => value === errno);
  return kernelErrnos[errno] ?? known?.[0] ?? `errno ${errno}`;
}

/** `EEXIST File exists` */
export function describeErrno(errno: number): string {
  return `${errnoName(errno)} ${strerror(errno)}`;
}

/** The kernel's name where the C library has two names for a number, and a name that is meant for inside the kernel but gets out (linux/errno.h). */
const kernelErrnos: Readonly<Record<number, string>> = { 95: 'EOPNOTSUPP', 524: 'ENOTSUPP' };

/** Moves the calling thread into the namespace of that descriptor. Only for netns.ts. */
export function setns(fd: number, type: number): void {
  succeed(setnsRaw(fd, type), 'setns');
}

/** Gives the calling thread a new namespace of its own. Only for netns.ts. */
export function unshare(type: number): void {
  succeed(unshareRaw(type), 'unshare');
}

/** @returns what the ioctl returned; `argument` is read and written in place. */
export function ioctl(fd: number, request: number, argument: Bytes | null, attempt: string): number {
  return succeed(ioctlRaw(fd, request, argument), attempt);
}

/** @returns a descriptor that is closed on exec; close it with `closeSync`. */
export function socket(domain: number, type: number, protocol: number): number {
  const SOCK_CLOEXEC = 0o2000000;
  return succeed(socketRaw(domain, type | SOCK_CLOEXEC, protocol), `open a socket of family ${domain}`);
}

/** @param address - the sockaddr, as bytes. */
export function bind(fd: number, address: Bytes): void {
  succeed(bindRaw(fd, address, address.length), 'bind a socket');
}

/** @param address - the sockaddr, as bytes. @throws SystemError. */
export function connect(fd: number, address: Bytes): void {
  succeed(connectRaw(fd, address, address.length), 'connect a socket');
}

/** Sets a socket option whose value is an int. */
export function setSocketOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  succeed(setsockoptRaw(fd, level, name, bytes, bytes.length), `set socket option ${level}/${name} to ${value}`);
}

/** Locks an open file for this process alone, without waiting. False: another process holds it. Only for file-lock.ts. */
export function lockFile(fd: number, attempt: string): boolean {
  const [LOCK_EX, LOCK_NB] = [2, 4];
  if (flockRaw(fd, LOCK_EX | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errnoName(errno) === 'EAGAIN') return false;
  throw new SystemError(attempt, errno);
}

/** Gives an existing mount other flags. Only for mounts.ts. */
export function remount(target: string, flags: number): void {
  succeed(mountRaw('none', target, null, flags, null), `mount ${target} with other flags`);
}

/** Sends one datagram from the calling thread. */
export function send(fd: number, bytes: Bytes): void {
  succeed(sendRaw(fd, bytes, bytes.length, 0), `send ${bytes.length} bytes`);
}

/** Sends one datagram from libuv's thread pool, so that the main thread goes on while the kernel works inside the call. */
export function sendInPool(fd: number, bytes: Bytes): Promise<void> {
  return new Promise((resolve, reject) => {
    sendRaw.async(fd, bytes, bytes.length, 0, (failure, sent) => {
      const errno = koffi.errno(); // koffi carries the pool thread's errno into this callback
      if (failure) reject(failure);
      else if (sent === bytes.length)
        resolve(); // naming bytes here keeps them alive until the kernel has read them
      else reject(new SystemError(`send ${bytes.length} bytes`, errno));
    });
  });
}

/** One received datagram: its true size (a larger one than `buffer` is cut) and the sender's sockaddr. */
export interface Received {
  readonly size: number;
  readonly from: Buffer;
}

/** Receives one datagram into `buffer` without waiting; undefined when there is none. */
export function receive(fd: number, buffer: Bytes): Received | undefined {
  const [from, fromSize] = sender();
  for (;;) {
    const size = recvfromRaw(fd, buffer, buffer.length, receiveFlags, from, fromSize);
    const received = judge(size, from, fromSize);
    if (received !== 'interrupted') return received;
  }
}

/** The same from libuv's thread pool, where the kernel may work inside the call. */
export function receiveInPool(fd: number, buffer: Bytes): Promise<Received | undefined> {
  const [from, fromSize] = sender();
  const { promise, resolve, reject } = Promise.withResolvers<Received | undefined>();
  const attempt = () => {
    recvfromRaw.async(fd, buffer, buffer.length, receiveFlags, from, fromSize, (failure, size) => {
      try {
        if (failure) throw failure;
        const received = judge(size, from, fromSize);
        if (received === 'interrupted') attempt();
        else resolve(received);
      } catch (error) {
        reject(error);
      }
    });
  };
  attempt();
  return promise;
}

/** MSG_DONTWAIT and MSG_TRUNC. */
const receiveFlags = 0x40 | 0x20;

function sender(): readonly [address: Buffer, size: Buffer] {
  const [from, fromSize] = [Buffer.alloc(128), Buffer.alloc(4)];
  fromSize.writeUInt32LE(from.length);
  return [from, fromSize];
}

/** Right behind the call, whose errno is still there. */
function judge(size: number, from: Buffer, fromSize: Buffer): Received | 'interrupted' | undefined {
  if (size >= 0) return { size, from: from.subarray(0, fromSize.readUInt32LE()) };
  const errno = koffi.errno();
  const code = errnoName(errno);
  if (code === 'EAGAIN') return undefined;
  if (code === 'EINTR') return 'interrupted';
  throw new SystemError('receive', errno);
}

/** Resolves true as soon as something can be received, false after `timeout` milliseconds. Holds no thread. */
export function readable(fd: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const poll = koffi.node.poll(fd, () => finish(true));
    const timer = setTimeout(() => finish(false), timeout);
    function finish(ready: boolean): void {
      clearTimeout(timer);
      poll.close();
      resolve(ready);
    }
  });
}

/** Resolves when something can be received, however long that takes. Keeps no process from ending. */
export function whenReadable(fd: number): Promise<void> {
  return new Promise((resolve) => {
    const poll = koffi.node.poll(fd, () => {
      poll.close();
      resolve();
    });
    poll.unref();
  });
}

/** The result of a C call that says -1 when it has failed. @throws SystemError with its errno. */
export function succeed(result: number, attempt: string): number {
  if (result >= 0) return result;
  throw new SystemError(attempt, koffi.errno());
}
