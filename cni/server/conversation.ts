// One connection: a request comes in, an answer goes out (cni/shim/README.md). It ends when the answer is sent, or when the caller is gone.
import { messageOf, Unavailable } from '../../host/base/errors.ts';
import type { Logger } from '../../host/base/log.ts';
import type { Socket } from '../../host/files/unix-server.ts';
import type { Answer, Invocation } from '../cni.ts';
import { type Decoded, decodeRequest, encodeAnswer } from './frame.ts';

export interface Conversation {
  readonly log: Logger;
  readonly answer: (invocation: Invocation, signal: AbortSignal) => Promise<Answer>;
  /** Aborted when the caller is gone, because then nobody wants the answer. */
  readonly gone: AbortController;
  /** Connections whose request has not arrived yet. */
  readonly incomplete: Set<Socket>;
}

/** Milliseconds for a whole request to arrive (the executable sends it at once), and for the caller to take a whole answer. */
const patience = 10_000;

/** @param socket - of a server that allows its callers to shut down their half. */
export async function converse(socket: Socket, { log, answer, gone, incomplete }: Conversation): Promise<void> {
  socket.on('error', (error) => log.debug({ error: messageOf(error) }, 'a connection broke'));
  incomplete.add(socket);
  const request = await readRequest(socket).finally(() => incomplete.delete(socket));
  if (request === undefined) return void socket.destroy();
  const newline = take(socket);
  const notice = () => gone.abort(new Unavailable('the runtime gave up before it had the answer'));
  if (socket.destroyed) notice();
  else socket.once('close', notice);
  const result = 'problem' in request ? badFrame(request.problem) : await answer(request, gone.signal);
  socket.off('close', notice);
  newline();
  await sendLast(socket, encodeAnswer(result));
}

type Request = Exclude<Decoded, { readonly needs: number }>;

/** Undefined when the caller went away or is too slow. Bytes behind the request are ignored. */
async function readRequest(socket: Socket): Promise<Request | undefined> {
  const { promise, resolve } = Promise.withResolvers<Request | undefined>();
  const giveUp = () => resolve(undefined);
  const timer = setTimeout(giveUp, patience);
  let wanted = 1;
  let chunks: Buffer[] = [];
  let size = 0;
  const read = (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    // Chunks are joined only when there are enough bytes. So a large request that arrives in small pieces costs no more than its size.
    if (size < wanted) return;
    const bytes = Buffer.concat(chunks);
    chunks = [bytes];
    const request = decodeRequest(bytes);
    if ('needs' in request) wanted = request.needs;
    else resolve(request);
  };
  socket.on('data', read).once('end', giveUp).once('close', giveUp);
  return await promise.finally(() => {
    clearTimeout(timer);
    socket.off('data', read).off('end', giveUp).off('close', giveUp).resume();
  });
}

/**
 * Tells the caller that its request was taken. A caller whose half ends may be gone, or may only have shut down its half. The newline behind the
 * plus decides: when nobody is there, writing it fails, and the socket closes. If it was not needed, it is written with the result.
 */
function take(socket: Socket): () => void {
  let written = false;
  const newline = () => {
    if (!written) socket.write('\n');
    written = true;
  };
  socket.write('+');
  if (socket.readableEnded) newline();
  else socket.once('end', newline);
  return newline;
}

function badFrame(problem: string): Answer {
  return { exit: 1, stdout: JSON.stringify({ cniVersion: '1.1.0', code: 5, msg: problem }), stderr: '' };
}

/** Resolves when the kernel has all bytes, whether the caller reads them or not. The caller closes. */
async function sendLast(socket: Socket, bytes: Buffer): Promise<void> {
  if (socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => socket.destroy(), patience);
  socket.once('close', () => {
    clearTimeout(timer);
    resolve();
  });
  socket.end(bytes, resolve);
  await promise;
}
