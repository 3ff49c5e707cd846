// /metrics, /healthz and /readyz of a resident process. The answers are short texts with a line for each problem.
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { ListenOptions } from 'node:net';
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

/**
 * The address with another host: that of SMARTNIC_METRICS_HOST, which a component of the manifests sets for all containers at once. `all` means all
 * addresses of the machine. Undefined and empty: the address as it is. @throws Error that names the variable.
 */
export function withMetricsHost(address: string, host: string | undefined): string {
  if (host === undefined || host === '') return address;
  const changed = `${host === 'all' ? '' : host.includes(':') ? `[${host}]` : host}:${address.split(':').at(-1)}`;
  if (/^[\w.:-]+$/.test(host) && parseEndpoint(changed) !== undefined) return changed;
  throw new Error(`SMARTNIC_METRICS_HOST: "${host}" is no host; write an address of the node, or all`);
}

/**
 * Serves kubelet's probes, which smartnic-probe makes, on a unix socket of this container's own: what answers there is this very process. On
 * the node's ports it may be our predecessor's, in an upgrade, or a stranger's. @throws Error that says why it can't be served.
 */
export async function serveProbes(path: string, pages: Pages): Promise<Server> {
  try {
    rmSync(path, { force: true }); // of this container's last life
    return await listen(path, pages);
  } catch (cause) {
    const remedy = 'SMARTNIC_PROBE_SOCKET names it, in a folder that this container alone has';
    throw new Error(`cannot serve probes on ${path}: ${messageOf(cause)}; ${remedy}`, { cause });
  }
}

/** Resolves when it listens. Port 0: any. @throws Error naming the address. */
export async function serveHttp({ hostname, port }: Endpoint, pages: Pages): Promise<Server> {
  try {
    // Without a host, Node listens on all addresses, on a machine without IPv6 too.
    return await listen(hostname === '::' ? { port } : { host: hostname, port }, pages);
  } catch (cause) {
    throw new Error(`cannot serve metrics on ${hostname}:${port}: ${messageOf(cause)}; choose another address`, { cause });
  }
}

async function listen(where: string | ListenOptions, pages: Pages): Promise<Server> {
  const server = createServer(async (request, response) => {
    const { status, type, body } = await answer(pages, request.method, request.url);
    response
      .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
      .end(request.method === 'HEAD' ? '' : body);
  });
  // A scraper that sends nothing must not hold a connection for ever.
  server.requestTimeout = 10_000;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(where, resolve);
  await promise;
  server.off('error', reject);
  return server;
}

/** Milliseconds until an address that somebody else has is tried again, and how many tries make one line in the log. */
const [pause, silence] = [1000, 60];

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
      if (tries % silence === 1)
        log.error({ error: messageOf(error), tries }, 'nobody can scrape this process; tried again every second');
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
