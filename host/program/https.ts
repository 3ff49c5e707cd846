// A server for JSON over TLS that others call: a POST with an object, and one as its answer. Everything about a caller has a limit, for whoever
// reaches the port may call. The certificate can be replaced while it serves.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { within } from '../base/within.ts';
import type { Endpoint } from './http.ts';

export interface Reply {
  readonly status: number;
  /** An object, or words for a person. */
  readonly body: unknown;
}

export interface HttpsOptions extends Endpoint {
  /** By path. */
  readonly handlers: Readonly<Record<string, (body: unknown, signal: AbortSignal) => Promise<Reply>>>;
  readonly log: Logger;
  /** Bytes of a body. */
  readonly longest: number;
  /** Milliseconds for an answer. */
  readonly patience: number;
}

export interface HttpsServer {
  /** The port, which the kernel chose if it was 0. */
  readonly port: number;
  /** PEM. Connections that are open keep theirs. */
  use(pair: { readonly certificate: string; readonly key: string }): void;
  /** Serves for `linger` more milliseconds, so that callers learn of others, and then ends when the last call is answered. */
  stop(linger: number): Promise<void>;
}

const oldest = { minVersion: 'TLSv1.2' } as const;

/** Resolves when it listens. Until it has a certificate, handshakes fail. @throws Error naming the address. */
export async function serveTls({ hostname, port, handlers, log, longest, patience }: HttpsOptions): Promise<HttpsServer> {
  let ending = false;
  const server = createServer({ ...oldest, connectionsCheckingInterval: 1000 }, async (request, response) => {
    const { status, body } = await reply(request, { handlers, log, longest, patience });
    const text = typeof body === 'string' ? `${body}\n` : JSON.stringify(body);
    send(response, { status, text, last: ending || !request.complete });
  });
  // Longer than API servers keep an idle connection: so they close it, and no call meets a closed one.
  server.keepAliveTimeout = 180_000;
  server.headersTimeout = 5000;
  server.requestTimeout = 5000;
  server.maxConnections = 500;
  server.on('tlsClientError', (error) => log.debug({ error: messageOf(error) }, 'a TLS handshake failed'));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: hostname, port }, resolve);
  await promise.catch((cause: unknown) => {
    throw new Error(`cannot serve on ${hostname}:${port}: ${messageOf(cause)}; choose another address`, { cause });
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    use: ({ certificate, key }) => server.setSecureContext({ cert: certificate, key, ...oldest }),
    stop: async (linger) => {
      ending = true;
      await sleep(linger);
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeIdleConnections();
      await within(patience, closed, () => {});
      server.closeAllConnections();
    },
  };
}

type Limits = Pick<HttpsOptions, 'handlers' | 'log' | 'longest' | 'patience'>;

async function reply(request: IncomingMessage, { handlers, log, longest, patience }: Limits): Promise<Reply> {
  const path = (request.url ?? '').split('?')[0] ?? '';
  const handle = Object.hasOwn(handlers, path) ? handlers[path] : undefined;
  if (handle === undefined) return { status: 404, body: `there is nothing here but ${Object.keys(handlers).join(', ')}` };
  if (request.method !== 'POST') return { status: 405, body: 'only POST' };
  const signal = AbortSignal.timeout(patience);
  try {
    const text = await textOf(request, longest);
    if (text === undefined) return { status: 413, body: `a body has at most ${longest} bytes` };
    const late = () => ({ status: 504, body: `no answer within ${patience} ms` });
    return await within(patience, handle(parse(text), signal), late);
  } catch (error) {
    if (error instanceof SyntaxError) return { status: 400, body: `the body is not JSON: ${error.message}` };
    log.warn({ path, error: messageOf(error) }, 'a call has no answer');
    return { status: 500, body: messageOf(error) };
  }
}

function parse(text: string): unknown {
  return JSON.parse(text);
}

/** Undefined for a body that is too long. Its rest is not read. */
async function textOf(request: IncomingMessage, longest: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length;
    if (size > longest) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** @param last - the caller shall take another connection for the next call. */
function send(response: ServerResponse, { status, text, last }: { status: number; text: string; last: boolean }): void {
  const type = text.startsWith('{') ? 'application/json' : 'text/plain; charset=utf-8';
  response.writeHead(status, {
    ...{ 'content-type': type, 'content-length': Buffer.byteLength(text) },
    ...(last ? { connection: 'close' } : {}),
  });
  response.end(text);
}
