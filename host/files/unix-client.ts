// Asking on a unix socket: whether somebody is there, and one question with its answer.
import { connect } from 'node:net';

/** Why nobody accepts connections there, as the kernel says it, or ETIMEDOUT after `patience` milliseconds; undefined: somebody does. */
export function whyUnanswered(path: string, patience = 1000): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (why?: Error) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(() => finish(late(`nobody accepted a connection on ${path}`, patience)), patience);
    socket.once('connect', () => finish());
    socket.once('error', finish);
  });
}

/**
 * Sends the question and reads until the other side ends. Our side stays open: some would take us for a client that has gone.
 * @throws what the kernel says, ETIMEDOUT after `patience` milliseconds for everything, or EMSGSIZE where the answer is longer than 16 MiB.
 */
export async function askOnce(path: string, question: string | Uint8Array, patience: number): Promise<Buffer> {
  const socket = connect(path);
  const timer = setTimeout(() => socket.destroy(late('nothing came', patience)), patience);
  try {
    socket.write(question);
    return await readAll(socket);
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

/** Bytes of an answer. */
const limit = 16 * 1024 * 1024;

async function readAll(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of socket) {
    size += chunk.length;
    if (size > limit) throw Object.assign(new Error(`the answer is longer than ${limit} bytes`), { code: 'EMSGSIZE' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function late(what: string, patience: number): NodeJS.ErrnoException {
  return Object.assign(new Error(`${what} within ${patience} ms`), { code: 'ETIMEDOUT' });
}
