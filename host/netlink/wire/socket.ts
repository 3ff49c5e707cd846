// A netlink socket: datagrams to and from the kernel, in the namespace it was opened in. Knows nothing of requests and answers (session.ts).
import { closeSync } from 'node:fs';
import { bind, readable, receive, sendInPool, setSocketOption, socket } from '../../kernel/libc.ts';
import { inNetns, type Netns } from '../../kernel/netns.ts';

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

/** The largest datagram the kernel makes for a dump is 32 KiB; one scratch is enough, because receive is synchronous. */
const scratch = Buffer.alloc(128 * 1024);

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
  return {
    send: (datagram) => sendInPool(fd, datagram),
    receive: () => receiveFromKernel(fd),
    readable: (timeout) => readable(fd, timeout),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** `sockaddr_nl`; port 0 lets the kernel choose ours. */
function address(groups: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16LE(AF_NETLINK, 0);
  bytes.writeUInt32LE(groups, 8);
  return bytes;
}

function receiveFromKernel(fd: number): Buffer | undefined {
  for (;;) {
    const datagram = receive(fd, scratch);
    if (!datagram) return undefined;
    const sender = datagram.from.readUInt32LE(4);
    if (sender !== 0) continue;
    if (datagram.size > scratch.length)
      throw new Error(`the kernel sent ${datagram.size} bytes at once; ${scratch.length} were expected at most`);
    return Buffer.from(scratch.subarray(0, datagram.size));
  }
}
