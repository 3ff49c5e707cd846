// Network namespaces. A descriptor holds one, the inode tells one from another, and a thread enters one only for the length of one synchronous function.
import { closeSync, constants, fstatSync, openSync, statfsSync, writeSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { ioctl, setns, unshare } from './libc.ts';

/** A network namespace. Until it is disposed it stays alive and stays the same one, even when its name is removed. */
export interface Netns extends Disposable {
  readonly fd: number;
  /** The path as it was opened. It may be gone by now. */
  readonly path: string;
  readonly dev: bigint;
  readonly ino: bigint;
}

const CLONE_NEWNET = 0x40000000;

/** @throws Error with `code` ENOENT when nothing is at that path, and without a code when it is not a network namespace. */
export function openNetns(path: string): Netns {
  const fd = open(path);
  try {
    requireNetns(fd, path);
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return { fd, path, dev, ino, [Symbol.dispose]: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The namespace of the calling thread. /proc/self would always be that of the main thread. */
export function ownNetns(): Netns {
  return openNetns('/proc/thread-self/ns/net');
}

/** A new namespace without a name. It ends with its last descriptor, and then the kernel gives its hardware back to the machine. */
export function makeNetns(): Netns {
  using own = ownNetns();
  try {
    unshare(CLONE_NEWNET);
  } catch (error) {
    throw new Error(`make a network namespace: ${messageOf(error)}; is CAP_SYS_ADMIN there?`, { cause: error });
  }
  try {
    return ownNetns();
  } finally {
    comeBack('that was just made', own);
  }
}

export function sameNetns(a: Pick<Netns, 'dev' | 'ino'>, b: Pick<Netns, 'dev' | 'ino'>): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/**
 * Runs a synchronous function with the calling thread in another network namespace.
 * The function must not start anything that lives on (a program, a worker, an asynchronous call), because that would stay in the namespace.
 * If the thread can't come back, the process aborts, because everything that it did next would happen in the wrong namespace.
 * @throws SystemError when the namespace cannot be entered, and whatever `fn` throws.
 */
export function inNetns<T>(netns: Netns, fn: () => T extends PromiseLike<unknown> ? never : T): T {
  if (fn.constructor.name === 'AsyncFunction') throw onlySynchronous(netns);
  using own = ownNetns();
  const result = visit(netns, own, fn);
  if (isPromise(result)) throw onlySynchronous(netns);
  return result;
}

function visit<T>(netns: Netns, own: Netns, fn: () => T): T {
  try {
    setns(netns.fd, CLONE_NEWNET);
  } catch (error) {
    throw new Error(`enter the network namespace ${netns.path}: ${messageOf(error)}; is CAP_SYS_ADMIN there?`, { cause: error });
  }
  try {
    return fn();
  } finally {
    comeBack(netns.path, own);
  }
}

function comeBack(from: string, own: Netns): void {
  try {
    setns(own.fd, CLONE_NEWNET);
  } catch (error) {
    const msg = `cannot return from the network namespace ${from}, aborting: ${messageOf(error)}`;
    writeSync(2, `${JSON.stringify({ level: 60, msg })}\n`);
    process.abort();
  }
}

function open(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // opening a FIFO must not block
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const hint = code === 'ENOENT' ? 'there is none' : messageOf(error);
    throw Object.assign(new Error(`open the network namespace ${path}: ${hint}`, { cause: error }), { code });
  }
}

function requireNetns(fd: number, path: string): void {
  const NSFS_MAGIC = 0x6e736673;
  const NS_GET_NSTYPE = 0xb703;
  if (statfsSync(`/proc/thread-self/fd/${fd}`).type !== NSFS_MAGIC) {
    throw new Error(
      `${path} is not a network namespace but an ordinary file: its mount is gone, or not visible here (a pod needs mountPropagation: HostToContainer)`,
    );
  }
  const type = ioctl(fd, NS_GET_NSTYPE, null, `ask ${path} what kind of namespace it is`);
  if (type !== CLONE_NEWNET) throw new Error(`${path} is a namespace, but not a network namespace`);
}

function onlySynchronous(netns: Netns): Error {
  return new Error(`only a synchronous function may run in the network namespace ${netns.path}; this one gave a promise`);
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
