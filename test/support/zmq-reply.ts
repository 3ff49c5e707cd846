// A ZeroMQ REP socket by Debian's libzmq, as the real peer of our own client. It has only what the stand-in daemon needs of ZeroMQ.
import { setTimeout as sleep } from 'node:timers/promises';
import koffi from 'koffi';

export const libzmq = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libzmq.so.5`;

type Pointer = unknown;
const [ZMQ_REP, ZMQ_LINGER, ZMQ_MAXMSGSIZE, ZMQ_DONTWAIT] = [4, 17, 22, 1];

/** Bound when first needed, so that this file can be imported where libzmq is not there. */
function bindings() {
  const lib = koffi.load(libzmq);
  return {
    context: lib.func('void *zmq_ctx_new()'),
    socket: lib.func('void *zmq_socket(void *context, int type)'),
    option: lib.func('int zmq_setsockopt(void *socket, int option, const void *value, size_t size)'),
    bind: lib.func('int zmq_bind(void *socket, const char *endpoint)'),
    receive: lib.func('int zmq_recv(void *socket, _Out_ uint8_t *buffer, size_t size, int flags)'),
    send: lib.func('int zmq_send(void *socket, const uint8_t *bytes, size_t size, int flags)'),
    close: lib.func('int zmq_close(void *socket)'),
    end: lib.func('int zmq_ctx_term(void *context)'),
  };
}
let bound: ReturnType<typeof bindings> | undefined;

/** Serves strictly one request after the other, as REP does. `limit`: bytes of a request, above which the peer is disconnected. */
export function openReply(endpoint: string, limit: number, answer: (request: Buffer) => Promise<Buffer>): AsyncDisposable {
  bound ??= bindings();
  const zmq = bound;
  const context: Pointer = zmq.context();
  const socket: Pointer = zmq.socket(context, ZMQ_REP);
  const number = Buffer.alloc(8);
  zmq.option(socket, ZMQ_LINGER, number, 4);
  number.writeBigInt64LE(BigInt(limit));
  zmq.option(socket, ZMQ_MAXMSGSIZE, number, 8);
  if (zmq.bind(socket, endpoint) !== 0) throw new Error(`libzmq can't bind ${endpoint}`);
  let open = true;
  const buffer = Buffer.alloc(4096);
  const serve = async () => {
    while (open) {
      const size: number = zmq.receive(socket, buffer, buffer.length, ZMQ_DONTWAIT);
      if (size < 0) {
        await sleep(1);
        continue;
      }
      const reply = await answer(Buffer.from(buffer.subarray(0, size)));
      if (open) zmq.send(socket, reply, reply.length, 0);
    }
  };
  const serving = serve();
  return {
    async [Symbol.asyncDispose]() {
      open = false;
      await serving;
      zmq.close(socket);
      zmq.end(context);
    },
  };
}
