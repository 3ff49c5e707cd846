// A conversation over one netlink socket: one request at a time, numbered, dumps until they are whole. Knows no family.
import type { Message } from './codec.ts';
import { openErrandSocket } from './errand-socket.ts';
import { dump, exchange, type Numbered, type Request } from './exchange.ts';
import { type NetlinkSocket, openSocket, type SocketOptions } from './socket.ts';

export type { Request };

/** One conversation with the kernel. Requests wait for each other; disposing lets the running one finish and refuses the rest. */
export interface Session extends Disposable {
  /** One change or question. @returns what the kernel answered besides its ACK. @throws NetlinkError */
  request(request: Request): Promise<readonly Message[]>;
  /** Everything the kernel lists. Starts over when the list changed meanwhile. @throws NetlinkError */
  dump(request: Request): Promise<readonly Message[]>;
  /** Several changes, in order. Those of one datagram are all tried, later datagrams are not sent after a failure. @throws NetlinkError the first failure. */
  batch(requests: readonly Request[]): Promise<void>;
}

/** Flags of new-requests (linux/netlink.h). */
export const flags = { excl: 0x200, create: 0x400, append: 0x800, echo: 0x08 } as const;

/** Their acknowledgements must fit the socket's receive buffer, which the kernel fills while it works: 300 overrun the default of 208 KiB. */
const perDatagram = 100;

/** By threads: for what takes the kernel a moment. */
export function openSession(options: SocketOptions): Session {
  return converse(openSocket(options), options.netns ? ` in ${options.netns.path}` : '');
}

/** By errands, in our own namespace: for what it may take minutes over. */
export function openErrandSession({ protocol }: Pick<SocketOptions, 'protocol'>): Session {
  return converse(openErrandSocket(protocol), '');
}

function converse(socket: NetlinkSocket, where: string): Session {
  let seq = 0;
  let closed = false;
  let running = 0;
  let last: Promise<unknown> = Promise.resolve();

  /** Waits for the requests before it, then has the socket to itself. */
  function inTurn<T>(attempt: string, work: () => Promise<T>): Promise<T> {
    running += 1;
    const result = last.then(() => {
      if (closed) throw new Error(`${attempt}${where}: this netlink session is closed`);
      return work();
    });
    last = result.then(done, done);
    return result;
  }

  function done(): void {
    running -= 1;
    if (closed && running === 0) socket[Symbol.dispose]();
  }

  function number(request: Request): Numbered {
    seq = (seq % 0xffffffff) + 1;
    return { request: { ...request, attempt: request.attempt + where }, seq };
  }

  return {
    request: (request) => inTurn(request.attempt, async () => (await exchange(socket, [number(request)])).messages),
    batch: (requests) =>
      inTurn(requests[0]?.attempt ?? 'change nothing', async () => {
        for (let at = 0; at < requests.length; at += perDatagram)
          await exchange(socket, requests.slice(at, at + perDatagram).map(number));
      }),
    dump: (request) => inTurn(request.attempt, () => dump(socket, () => number(request))),
    [Symbol.dispose]() {
      if (closed) return;
      closed = true;
      if (running === 0) socket[Symbol.dispose](); // else a descriptor number would be reused under a running send
    },
  };
}
