// How a round over a netlink socket handles answers that a real kernel gives only in bad moments. The socket is a script of datagrams.
import assert from 'node:assert/strict';
import { SystemError } from '../../../../host/kernel/libc.ts';
import { decodeMessages, encodeMessage } from '../../../../host/netlink/wire/codec.ts';
import { dump, exchange, type Numbered } from '../../../../host/netlink/wire/exchange.ts';
import type { NetlinkSocket } from '../../../../host/netlink/wire/socket.ts';

const ack = 2;
const done = 3;
const link = 16;
const interrupted = 0x10;
const ENOBUFS = 105;

describe('a round over a netlink socket', () => {
  it('sends all requests at once, each numbered, and ends when each has its ACK', async () => {
    const socket = scripted([message(ack, 1)], [message(link, 2), message(ack, 2)]);
    const answer = await exchange(socket, [numbered(1), numbered(2)]);
    assert.deepEqual(
      socket.sent.map((datagram) => decodeMessages(datagram).map(({ seq, flags }) => [seq, flags])),
      [
        [
          [1, 5],
          [2, 5],
        ],
      ],
    );
    assert.deepEqual(
      answer.messages.map(({ type }) => type),
      [link],
    );
  });

  it('passes over late answers to an earlier request', async () => {
    const socket = scripted([message(link, 6), message(ack, 6, -1)], [message(ack, 7)]);
    assert.deepEqual((await exchange(socket, [numbered(7)])).messages, []);
  });

  it('throws the first failure, after every request has its end', async () => {
    const socket = scripted([message(ack, 1), message(ack, 2, -17)], [message(ack, 3, -1)]);
    await assert.rejects(exchange(socket, [numbered(1), numbered(2), numbered(3)]), { message: 'do 2: EEXIST File exists' });
    assert.equal(socket.left(), 0);
  });

  it('does not wait for ever for an answer that was lost', async () => {
    await assert.rejects(exchange(scripted(), [numbered(1)]), /^Error: do 1: no answer from the kernel within 5000 ms$/);
  });

  it('says that it is unknown whether a request was done whose answer the kernel dropped', async () => {
    const socket = scripted(ENOBUFS);
    await assert.rejects(exchange(socket, [numbered(1)]), { code: 'ENOBUFS', message: /whether it was done is unknown/ });
  });

  it('takes a list again that changed under the reading, under a new number', async () => {
    const socket = scripted(
      [message(link, 1, 0, interrupted), message(done, 1)],
      [message(link, 2), message(link, 2), message(done, 2)],
    );
    assert.equal((await dump(socket, counting())).length, 2);
    assert.equal(socket.sent.length, 2);
  });

  it('notices a change that only the end of the list tells of', async () => {
    const socket = scripted([message(link, 1), message(done, 1, 0, interrupted)], [message(done, 2)]);
    assert.equal((await dump(socket, counting())).length, 0);
  });

  it('takes a list again that overran the socket, leaving out what is left of the first', async () => {
    const socket = scripted(
      [message(link, 1)],
      ENOBUFS,
      [message(link, 1), message(done, 1)],
      [message(link, 2), message(done, 2)],
    );
    assert.deepEqual(
      (await dump(socket, counting())).map(({ seq }) => seq),
      [2],
    );
  });

  it('gives a list up that changes at every try', async () => {
    const tries = Array.from({ length: 20 }, (_, n) => [message(done, n + 1, 0, interrupted)]);
    await assert.rejects(dump(scripted(...tries), counting()), { code: 'EINTR', message: /the list changed at every try/ });
  });
});

/** Plays one step per receive: a datagram, or an errno. */
function scripted(...steps: readonly (readonly Buffer[] | number)[]) {
  const sent: Buffer[] = [];
  const left = [...steps];
  const receive = () => {
    const step = left.shift();
    if (typeof step === 'number') throw new SystemError('receive', step);
    return step && Buffer.concat(step);
  };
  const socket = {
    sent,
    left: () => left.length,
    send: async (datagram) => void sent.push(datagram),
    receive,
    receiveMore: async () => receive(),
    readable: async () => false,
    [Symbol.dispose]: () => undefined,
  } satisfies NetlinkSocket & { sent: Buffer[]; left: () => number };
  return socket;
}

function message(type: number, seq: number, errno = 0, flags = 0): Buffer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(errno);
  return encodeMessage({ type, flags, seq, pid: 1, body });
}

function numbered(seq: number): Numbered {
  return { request: { attempt: `do ${seq}`, type: link, body: Buffer.alloc(16) }, seq };
}

function counting(): () => Numbered {
  let seq = 0;
  return () => {
    seq += 1;
    return numbered(seq);
  };
}
