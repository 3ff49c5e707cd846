// One round over a netlink socket: a datagram of numbered requests goes out, answers come in until each request has its end.
import { setTimeout as sleep } from 'node:timers/promises';
import { SystemError } from '../../kernel/libc.ts';
import { decodeMessages, encodeMessage, type Message } from './codec.ts';
import { failureIn, isEnd, NetlinkError } from './error.ts';
import type { NetlinkSocket } from './socket.ts';

/** What is asked of the kernel. REQUEST, ACK and DUMP flags are the session's. */
export interface Request {
  /** What is attempted, for errors: `create veth "sn1" in /run/netns/x`. */
  readonly attempt: string;
  readonly type: number;
  /** CREATE, EXCL and the like. Default none. */
  readonly flags?: number;
  /** The family's fixed header and the attributes. */
  readonly body: Buffer;
  /** Failures that count as success, e.g. `EEXIST` where the thing may be there already. */
  readonly fine?: readonly string[];
}

export interface Numbered {
  readonly request: Request;
  readonly seq: number;
}

export interface Answer {
  readonly messages: readonly Message[];
  /** The list changed while it was dumped: something may be there twice, or not at all. */
  readonly interrupted: boolean;
}

const NLM_F_REQUEST = 0x01;
const NLM_F_ACK = 0x04;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const EINTR = 4;

/** Milliseconds. The kernel answers inside send, so that waiting at all means that an answer was lost. */
const patience = 5000;
const dumpTries = 20;

/** Sends all requests in one datagram and collects until each is acknowledged (or done, for a dump). */
export async function exchange(socket: NetlinkSocket, numbered: readonly Numbered[], kind = NLM_F_ACK): Promise<Answer> {
  const attempt = numbered.map(({ request }) => request.attempt).join(', ');
  await sendAll(socket, numbered, kind, attempt);
  const pending = new Map(numbered.map((one) => [one.seq, one.request]));
  const messages: Message[] = [];
  let interrupted = false;
  let failure: NetlinkError | undefined;
  while (pending.size > 0) {
    for (const message of decodeMessages(await receive(socket, attempt, kind))) {
      const request = pending.get(message.seq);
      if (!request) continue; // a late answer to a request that was given up
      interrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
      if (isEnd(message)) {
        const found = failureIn(message, request.attempt);
        if (found !== undefined && !request.fine?.includes(found.code)) failure ??= found;
        pending.delete(message.seq);
      } else {
        messages.push(message);
      }
    }
  }
  if (failure) throw failure;
  return { messages, interrupted };
}

/** A whole list, taken again (with a new number) while it changed under the reading or overran the socket. @throws NetlinkError */
export async function dump(socket: NetlinkSocket, number: () => Numbered): Promise<readonly Message[]> {
  for (let tries = 1; ; tries += 1) {
    const numbered = number();
    const { attempt } = numbered.request;
    try {
      const answer = await exchange(socket, [numbered], NLM_F_DUMP);
      if (!answer.interrupted) return answer.messages;
      if (tries === dumpTries) throw new NetlinkError(attempt, EINTR, undefined, 'the list changed at every try');
    } catch (error) {
      const again = error instanceof NetlinkError && (error.code === 'ENOBUFS' || error.code === 'EBUSY');
      if (!again || tries === dumpTries) throw error;
    }
    await sleep(tries); // milliseconds
  }
}

async function sendAll(socket: NetlinkSocket, numbered: readonly Numbered[], kind: number, attempt: string): Promise<void> {
  const datagram = numbered.map(({ request: { type, body, flags: own = 0 }, seq }) =>
    encodeMessage({ type, flags: NLM_F_REQUEST | kind | own, seq, pid: 0, body }),
  );
  try {
    await socket.send(Buffer.concat(datagram), attempt);
  } catch (error) {
    throw systemFailure(error, attempt);
  }
}

async function receive(socket: NetlinkSocket, attempt: string, kind: number): Promise<Buffer> {
  try {
    for (;;) {
      const datagram = kind === NLM_F_DUMP ? await socket.receiveMore(attempt) : socket.receive();
      if (datagram) return datagram;
      if (!(await socket.readable(patience))) throw new Error(`${attempt}: no answer from the kernel within ${patience} ms`);
    }
  } catch (error) {
    throw systemFailure(error, attempt);
  }
}

function systemFailure(error: unknown, attempt: string): unknown {
  if (!(error instanceof SystemError)) return error;
  const hint = error.code === 'ENOBUFS' ? 'an answer of the kernel was lost, so whether it was done is unknown' : undefined;
  return new NetlinkError(attempt, error.errno, undefined, hint);
}
