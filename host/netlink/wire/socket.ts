// A netlink socket: datagrams to and from the kernel, in the namespace it was opened in. Knows nothing of requests and answers (session.ts).
import { closeSync } from 'node:fs';
import { bind, type Received, readable, receive, receiveInPool, sendInPool, setSocketOption, socket } from '../../kernel/libc.ts';
import { inNetns, type Netns } from '../../kernel/netns.ts';
import { onThread } from './threads.ts';

/** Netlink protocols (linux/netlink.h). */
export const protocols = { route: 0, uevent: 15, generic: 16 } as const;

export interface SocketOptions {
  readonly protocol: (typeof protocols)[keyof typeof protocols];
  /** The namespace that the socket acts on for ever; the calling thread's own when absent. */
  readonly netns?: Netns;
  /** Bit mask of the multicast groups to listen to. Default none. */
  readonly groups?: number;
}

export interface NetlinkSocket extends Disposable {
  /** Resolves when the kernel has taken the datagram and, for a request, done the work: `attempt`, in words. Runs in libuv's thread pool. */
  send(datagram: Buffer, attempt: string): Promise<void>;
  /** As `receive`, by a thread: the kernel continues a list when it is read, and waits there for whatever lock that takes. */
  receiveMore(attempt: string): Promise<Buffer | undefined>;
  /**
   * The next datagram that the kernel sent, or undefined when none is waiting. What other processes sent is dropped.
   * @throws SystemError ENOBUFS when the kernel had to drop some.
   */
  receive(): Buffer | undefined;
  /** Resolves true when something can be received, false after that many milliseconds. */
  readable(timeout: number): Promise<boolean>;
}

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10; // an error repeats only the header of the request
const NETLINK_EXT_ACK = 11; // and says in words what is wrong
const NETLINK_GET_STRICT_CHK = 12; // a dump filters in the kernel, or refuses the filter

/**
 * The largest datagram the kernel makes for a dump is 32 KiB. About one link it tells all at once: 300 bytes for each of up to 2000 VFs. One is
 * enough for what is received synchronously.
 */
const scratch = Buffer.alloc(640 * 1024);

/** @throws SystemError when the machine gives no such socket, or when its namespace cannot be entered. */
export function openSocket({ protocol, netns, groups = 0 }: SocketOptions): NetlinkSocket {
  const make = () => socket(AF_NETLINK, SOCK_RAW, protocol);
  const fd = netns ? inNetns(netns, make) : make();
  try {
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) setSocketOption(fd, SOL_NETLINK, option, 1);
    bind(fd, address(groups));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  // Given up or not, a call in the kernel uses the descriptor until it is back, and its number must not be another one's by then.
  const inKernel = new Set<Promise<unknown>>();
  const call = <T>(attempt: string, work: () => Promise<T>) =>
    onThread(attempt, () => {
      const done = work().finally(() => inKernel.delete(done));
      inKernel.add(done);
      return done;
    });
  return {
    send: (datagram, attempt) => call(attempt, () => sendInPool(fd, datagram)),
    receive: () => fromKernel(scratch, () => receive(fd, scratch)),
    receiveMore: (attempt) => call(attempt, () => moreFromKernel(fd)),
    readable: (timeout) => readable(fd, timeout),
    [Symbol.dispose]: () => {
      if (inKernel.size === 0) closeSync(fd);
      else void Promise.allSettled(inKernel).then(() => closeSync(fd));
    },
  };
}

/** `sockaddr_nl`; port 0 lets the kernel choose ours. */
function address(groups: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16LE(AF_NETLINK, 0);
  bytes.writeUInt32LE(groups, 8);
  return bytes;
}

function fromKernel(buffer: Buffer, next: () => Received | undefined): Buffer | undefined {
  for (let datagram = next(); datagram !== undefined; datagram = next()) {
    const content = contentOf(datagram, buffer);
    if (content !== undefined) return content;
  }
  return undefined;
}

/** One of the same size for a thread, used again: a new one of that size costs more than the call. */
let spare: Buffer | undefined;

async function moreFromKernel(fd: number): Promise<Buffer | undefined> {
  const buffer = spare ?? Buffer.allocUnsafe(scratch.length);
  spare = undefined;
  for (;;) {
    const datagram = await receiveInPool(fd, buffer);
    const content = datagram && contentOf(datagram, buffer);
    if (datagram !== undefined && content === undefined) continue;
    spare = buffer;
    return content;
  }
}

/** Undefined: it is from another process. */
function contentOf({ size, from }: Received, buffer: Buffer): Buffer | undefined {
  if (from.readUInt32LE(4) !== 0) return undefined;
  if (size > buffer.length) throw new Error(`the kernel sent ${size} bytes at once; ${buffer.length} were expected at most`);
  return Buffer.from(buffer.subarray(0, size));
}
