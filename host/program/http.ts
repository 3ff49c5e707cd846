// /metrics, /healthz and /readyz of a resident process. The answers are short texts with a line for each problem.
import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>;

export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

/** Parses `127.0.0.1:9477`, `[::1]:9477`, or `:9477` for all addresses; undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const { host = '', bare = '', port } = /^(?:\[(?<host>[^\]]*)\]|(?<bare>[^:]*)):(?<port>\d{1,5})$/.exec(text)?.groups ?? {};
  return port === undefined || Number(port) > 65_535 ? undefined : { hostname: host || bare || '::', port: Number(port) };
}

/** Resolves when it listens. Port 0: any. @throws Error naming the address. */
export async function serveHttp({ hostname, port }: Endpoint, pages: Pages): Promise<Server> {
  const server = createServer(async (request, response) => {
    const { status, type, body } = await answer(pages, request.method, request.url);
    response
      .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
      .end(request.method === 'HEAD' ? '' : body);
  });
  // A scraper that sends nothing must not hold a connection for ever.
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error) => {
      const text = `cannot serve metrics on ${hostname}:${port}: ${cause.message}; choose another address`;
      reject(new Error(text, { cause }));
    };
    server.once('error', fail);
    server.listen(port, hostname, () => {
      server.off('error', fail);
      resolve();
    });
  });
  return server;
}

/** Milliseconds until an address that somebody else has is tried again. */
const pause = 1000;

/**
 * Serves until `signal`. Resolves at once. It does not give up when somebody else has the address: pods need us more than anybody
 * needs these pages, and in an upgrade our predecessor still has it.
 */
export async function keepServing(endpoint: Endpoint, pages: Pages, { signal, log }: Serving): Promise<void> {
  for (let tries = 1; !signal.aborted; tries++) {
    try {
      const server = await serveHttp(endpoint, pages);
      signal.addEventListener('abort', () => {
        server.close();
        server.closeAllConnections();
      });
      return log.info(endpoint, 'serving /metrics, /healthz and /readyz');
    } catch (error) {
      if (tries === 1) log.error({ error: messageOf(error) }, 'tried again every second');
      await sleep(pause, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}

interface Serving {
  readonly signal: AbortSignal;
  readonly log: Logger;
}

async function answer(pages: Pages, method: string | undefined, url: string | undefined): Promise<Page> {
  const path = (url ?? '').split('?')[0] ?? '';
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (page === undefined) return text(404, [`there is nothing here but ${Object.keys(pages).join(', ')}`]);
  if (method !== 'GET' && method !== 'HEAD') return text(405, ['only GET and HEAD']);
  try {
    return await page();
  } catch (error) {
    return text(500, [messageOf(error)]);
  }
}

/** 200 `ok` when there are no problems, else 503 and the problems. */
export function verdict(problems: readonly string[]): Page {
  return problems.length === 0 ? text(200, ['ok']) : text(503, problems);
}

function text(status: number, lines: readonly string[]): Page {
  return { status, type: 'text/plain; charset=utf-8', body: `${lines.join('\n')}\n` };
}
