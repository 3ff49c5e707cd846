// The unix socket that the runtime's executable talks to: frames in and out (cni/shim/README.md), nothing of CNI.
import type { Logger } from '../../host/base/log.ts';
import { whyUnanswered } from '../../host/files/unix-client.ts';
import { type Socket, serveSocket } from '../../host/files/unix-server.ts';
import type { Answer, Invocation } from '../cni.ts';
import { type Decoded, decodeRequest, encodeAnswer } from './frame.ts';

export interface Server {
  /** Takes no new requests, finishes those that run. */
  close(): Promise<void>;
}

export interface ServerOptions {
  readonly path: string;
  readonly log: Logger;
  readonly answer: (invocation: Invocation) => Promise<Answer>;
}

/** Milliseconds for a whole request to arrive. The executable sends it in one go. */
const patience = 10_000;

/** The socket is 0600 in a 0700 directory. Throws when another server answers there. */
export async function serve({ path, log, answer }: ServerOptions): Promise<Server> {
  if (Buffer.byteLength(path) > 107) throw new Error(`socket: ${path} is longer than the 107 bytes of a unix socket's path`);
  if ((await whyUnanswered(path)) === undefined) throw new Error(`socket: another server answers on ${path}; stop it first`);
  const running = new Set<Promise<void>>();
  const incomplete = new Set<Socket>();
  const server = await serveSocket(path, (socket) => {
    const work = converse(socket, { log, answer, incomplete }).finally(() => running.delete(work));
    running.add(work);
  });
  log.info({ path }, 'serving CNI requests');
  return {
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      // Not begun yet, so the executable tries it again at our successor; a silent caller keeps nobody waiting.
      for (const socket of incomplete) socket.destroy();
      await Promise.all(running);
      await closed;
    },
  };
}

type Request = Exclude<Decoded, { readonly needs: number }>;

type Conversation = Pick<ServerOptions, 'log' | 'answer'> & { readonly incomplete: Set<Socket> };

async function converse(socket: Socket, { log, answer, incomplete }: Conversation): Promise<void> {
  // A runtime that has given up kills its executable: the work goes on, its DEL comes next.
  socket.on('error', (error) => log.debug({ error: error.message }, 'a connection broke'));
  incomplete.add(socket);
  const request = await readRequest(socket).finally(() => incomplete.delete(socket));
  if (request === undefined) {
    socket.destroy();
    return;
  }
  socket.write('+\n');
  const result = 'problem' in request ? badFrame(request.problem) : await answer(request);
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.end(encodeAnswer(result));
    socket.setTimeout(patience, () => socket.destroy());
  });
}

/** Undefined: the peer went away or is too slow. */
async function readRequest(socket: Socket): Promise<Request | undefined> {
  return await new Promise((resolve) => {
    let wanted = 1;
    let chunks: Buffer[] = [];
    let size = 0;
    socket.setTimeout(patience, () => resolve(undefined));
    socket.once('close', () => resolve(undefined));
    socket.on('data', (chunk) => {
      if (typeof chunk === 'string') return;
      chunks.push(chunk);
      size += chunk.length;
      // Joined only when enough is there, so that a large request arriving in small pieces costs no more than its size.
      if (size < wanted) return;
      const bytes = Buffer.concat(chunks);
      chunks = [bytes];
      const request = decodeRequest(bytes);
      if ('needs' in request) {
        wanted = request.needs;
        return;
      }
      socket.setTimeout(0);
      resolve(request);
    });
  });
}

function badFrame(problem: string): Answer {
  return { exit: 1, stdout: JSON.stringify({ cniVersion: '1.1.0', code: 5, msg: problem }), stderr: '' };
}
