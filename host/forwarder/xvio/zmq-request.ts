// One question to a ZeroMQ REP socket over a unix socket: the client's side of ZMTP 3.1 without security (rfc.zeromq.org/spec/37).
// Each question has a connection of its own. So a question that was not answered in time leaves nothing that could confuse the next one.
import { connect } from 'node:net';
import { messageOf, Unavailable } from '../../base/errors.ts';

export interface Question {
  /** `ipc:///PATH` */
  readonly endpoint: string;
  readonly body: Buffer;
  /** Milliseconds for everything. */
  readonly timeout: number;
  /** For errors. */
  readonly what: string;
}

/** Nobody listened, so the question was not asked. */
export class NotListening extends Unavailable {}

/** Resolves with the answer's body. Throws NotListening, or Unavailable when no answer came; the question may have arrived then. */
export function ask({ endpoint, body, timeout, what }: Question): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = connect(endpoint.slice('ipc://'.length));
  const lost = (why: string) => reject(new Unavailable(`virtio-forwarder did not answer ${what} at ${endpoint}: ${why}`));
  const timer = setTimeout(() => lost(`nothing came within ${timeout} ms; is its process stuck?`), timeout);
  let received = Buffer.alloc(0);
  let state: 'greeting' | 'ready' | 'asked' = 'greeting';

  socket.once('error', (error) => reject(notListening(error, endpoint, what)));
  socket.once('close', () => lost('it closed the connection'));
  socket.write(greeting);
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    try {
      advance();
    } catch (error) {
      lost(messageOf(error));
    }
  });

  function advance(): void {
    if (received.length > limit) throw new Error(`it sent more than ${limit} bytes`);
    if (state === 'greeting') {
      if (received.length < greeting.length) return;
      checkGreeting(received);
      received = received.subarray(greeting.length);
      socket.write(frame(command, ready));
      state = 'ready';
    }
    for (let next = readFrame(received); next !== undefined; next = readFrame(received)) {
      received = received.subarray(next.size);
      if (next.flags & command) onCommand(next.body);
      // The empty frame before the body is REQ's and REP's envelope.
      else if (!(next.flags & more)) resolve(Buffer.from(next.body));
    }
  }

  function onCommand(bytes: Buffer): void {
    const name = bytes.toString('latin1', 1, 1 + (bytes[0] ?? 0));
    if (name === 'ERROR') throw new Error(`it refused the connection: ${bytes.toString('latin1', 7)}`);
    if (name !== 'READY' || state !== 'ready') return;
    socket.write(Buffer.concat([frame(more, Buffer.alloc(0)), frame(0, body)]));
    state = 'asked';
  }

  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** Bytes of an answer: a relay's statistics are about 300. */
const limit = 1 << 20;
const [more, long, command] = [0x01, 0x02, 0x04];

/** Signature, version 3.1, mechanism, not a server, filler. */
const greeting = Buffer.concat([Buffer.from('ff00000000000000017f0301', 'hex'), Buffer.from('NULL'), Buffer.alloc(48)]);

const ready = Buffer.concat([text8('READY'), text8('Socket-Type'), text32('REQ'), text8('Identity'), text32('')]);

function text8(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}

function text32(text: string): Buffer {
  return Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);
}

function checkGreeting(bytes: Buffer): void {
  const mechanism = bytes.toString('latin1', 12, 32).replaceAll('\0', '');
  if (bytes[0] === 0xff && bytes[9] === 0x7f && (bytes[10] ?? 0) >= 3 && mechanism === 'NULL') return;
  throw new Error('what listens there does not speak ZeroMQ 3 without security');
}

/** Short frames only: what we send has at most 384 bytes by the daemon's own limit, and a path of 107 makes far less than 256. */
function frame(flags: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([flags, body.length]), body]);
}

function readFrame(bytes: Buffer): { readonly flags: number; readonly body: Buffer; readonly size: number } | undefined {
  const flags = bytes[0] ?? 0;
  const head = flags & long ? 9 : 2;
  if (bytes.length < head) return undefined;
  const length = flags & long ? Number(bytes.readBigUInt64BE(1)) : (bytes[1] ?? 0);
  const size = head + length;
  if (size > limit) throw new Error(`it began a frame of ${length} bytes`);
  return bytes.length < size ? undefined : { flags, body: bytes.subarray(head, size), size };
}

function notListening(error: NodeJS.ErrnoException, endpoint: string, what: string): Error {
  const text = `virtio-forwarder can't be asked for ${what} at ${endpoint}: ${messageOf(error)}`;
  if (error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED') return new Unavailable(text, { cause: error });
  return new NotListening(`${text}; is it running, and started with that endpoint?`, { cause: error });
}
