// The supervisor's unix socket: a line in, a line out. host/forwarder/relay-protocol.ts says what the lines mean.
import { messageOf } from '../host/base/errors.ts';
import type { Logger } from '../host/base/log.ts';
import { type Socket, serveSocket } from '../host/files/unix-server.ts';
import { checkSocketPath } from '../host/files/unix-socket.ts';
import { type Answer, lineLimit, parseRequest, type Request } from '../host/forwarder/relay-protocol.ts';

export interface ServerOptions {
  readonly path: string;
  readonly log: Logger;
  readonly answer: (request: Request) => Promise<Answer>;
}

/** Milliseconds in which a request must arrive. */
const patience = 10_000;

/** The socket has mode 0600, in a directory with mode 0700. An existing socket belongs to a dead supervisor, because the caller holds the directory's lock. */
export async function serve({ path, log, answer }: ServerOptions): Promise<void> {
  checkSocketPath(path);
  await serveSocket(path, (socket) => {
    socket.on('error', (error) => log.debug({ error: error.message }, 'a connection broke'));
    void converse(socket, answer).then((text) => socket.end(`${JSON.stringify(text)}\n`));
  });
}

async function converse(socket: Socket, answer: ServerOptions['answer']): Promise<Answer> {
  try {
    return await answer(parseRequest(await readLine(socket)));
  } catch (error) {
    return { ok: false, error: messageOf(error) };
  }
}

/** Throws when no whole line comes. */
function readLine(socket: Socket): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const timer = setTimeout(() => reject(new Error(`no whole line came within ${patience} ms`)), patience);
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (text.length > lineLimit) reject(new Error(`the line is longer than ${lineLimit} characters`));
    const end = text.indexOf('\n');
    if (end >= 0) resolve(text.slice(0, end));
  });
  socket.once('close', () => reject(new Error('the connection ended before the line')));
  return promise.finally(() => clearTimeout(timer));
}
