// One question to a ZeroMQ REP socket over a unix socket: the client's side of ZMTP 3.1 without security (rfc.zeromq.org/spec/37).
// Each question has a connection of its own. So the late answer to one can't be taken for the answer to the next.
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

/**
 * The question arrived, and no answer came in time. It may be carried out later, also after questions on other connections, which a REP socket serves
 * in any order. The connection stays open, because only on it will the answer come.
 */
export class Unanswered extends Unavailable {
  /** Resolves when the answer has come at last, or the connection has ended. */
  readonly over: Promise<void>;

  constructor(message: string, over: Promise<void>) {
    super(message);
    this.over = over;
  }
}

/** The path of an endpoint. */
export function pathOf(endpoint: string): string {
  return endpoint.slice('ipc://'.length);
}

/** Resolves with the answer's body. Throws NotListening, Unanswered, or Unavailable when the connection ended without an answer. */
export function ask({ endpoint, body, timeout, what }: Question): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const over = Promise.withResolvers<void>();
  const socket = connect(pathOf(endpoint));
  const words = (why: string) => `virtio-forwarder did not answer ${what} at ${endpoint}: ${why}`;
  const lost = (why: string) => {
    reject(new Unavailable(words(why)));
    end();
  };
  const end = () => {
    clearTimeout(timer);
    socket.destroy();
    over.resolve();
  };
  const timer = setTimeout(() => {
    const late = words(`nothing came within ${timeout} ms; is its process stuck?`);
    if (state !== 'asked') return lost(`nothing came within ${timeout} ms; is its process stuck?`);
    socket.unref();
    reject(new Unanswered(late, over.promise));
  }, timeout);
  let received = Buffer.alloc(0);
  /** What came and is not looked at yet, and the bytes that `advance` needs. Bytes that come one by one are put together once. */
  let pending: Buffer[] = [];
  let size = 0;
  let needed = greeting.length;
  let state: 'greeting' | 'ready' | 'asked' = 'greeting';

  socket.once('error', (error) => {
    reject(notListening(error, endpoint, what));
    end();
  });
  socket.once('close', () => lost('it closed the connection'));
  socket.write(greeting);
  socket.on('data', (chunk) => {
    pending.push(chunk);
    size += chunk.length;
    if (size < needed) return;
    received = Buffer.concat([received, ...pending]);
    pending = [];
    try {
      advance();
      size = received.length;
      needed = wholeFrame(received);
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
      else if (!(next.flags & more)) {
        resolve(Buffer.from(next.body));
        end();
      }
    }
  }

  function onCommand(bytes: Buffer): void {
    const name = bytes.toString('latin1', 1, 1 + (bytes[0] ?? 0));
    if (name === 'ERROR') throw new Error(`it refused the connection: ${bytes.toString('latin1', 7)}`);
    if (name !== 'READY' || state !== 'ready') return;
    socket.write(Buffer.concat([frame(more, Buffer.alloc(0)), frame(0, body)]));
    state = 'asked';
  }

  return promise;
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
  const head = headOf(flags);
  const size = wholeFrame(bytes);
  if (size > limit) throw new Error(`it began a frame of ${size - head} bytes`);
  return bytes.length < size ? undefined : { flags, body: bytes.subarray(head, size), size };
}

/** Bytes of the frame that begins here, or of its head while that is not complete. */
function wholeFrame(bytes: Buffer): number {
  const flags = bytes[0] ?? 0;
  const head = headOf(flags);
  if (bytes.length < head) return head;
  return head + (flags & long ? Number(bytes.readBigUInt64BE(1)) : (bytes[1] ?? 0));
}

function headOf(flags: number): number {
  return flags & long ? 9 : 2;
}

function notListening(error: NodeJS.ErrnoException, endpoint: string, what: string): Error {
  const text = `virtio-forwarder can't be asked for ${what} at ${endpoint}: ${messageOf(error)}`;
  if (error.code !== 'ENOENT' && error.code !== 'ECONNREFUSED') return new Unavailable(text, { cause: error });
  return new NotListening(`${text}; is it running, and started with that endpoint?`, { cause: error });
}
