// The Kubernetes API server over node:https, for objects as JSON. It takes 22 MB less than the client's configuration, which a process that is
// sent a thousand reviews a second and reads one kind of object does not need. It knows no kind of object.
import { readFileSync } from 'node:fs';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ApiServer {
  /** `https://10.96.0.1:443`; http only for tests. */
  readonly url: string;
  /** A folder with `token` and `ca.crt`, as a pod has for its service account. */
  readonly credentials: string;
}

/** @throws Error that says that this is no pod. */
export function ownApiServer(env: Readonly<Record<string, string | undefined>>): ApiServer {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host === undefined) throw new Error('KUBERNETES_SERVICE_HOST is not set: is this a pod? outside of one, name --api-server');
  return {
    url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    credentials: '/var/run/secrets/kubernetes.io/serviceaccount',
  };
}

/** An answer other than 2xx. api-failure.ts makes words of it. */
class ApiAnswer extends Error {
  override readonly name = 'ApiAnswer';
  readonly code: number;
  readonly body: string;

  constructor(code: number, body: string) {
    super(`it answered with status ${code}`);
    this.code = code;
    this.body = body;
  }
}

export interface Ask {
  readonly method?: 'GET' | 'PUT' | 'PATCH';
  readonly body?: unknown;
  /** Milliseconds for the whole answer. Default 10 000. */
  readonly timeout?: number;
}

/** Sends one request. A PATCH is a JSON patch. @throws ApiAnswer, or what the connection failed with. */
export async function askApi(
  server: ApiServer,
  path: string,
  { method = 'GET', body, timeout = 10_000 }: Ask = {},
): Promise<unknown> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const type = method === 'PATCH' ? 'application/json-patch+json' : 'application/json';
  const signal = AbortSignal.timeout(timeout);
  try {
    const answer = await send(server, path, { method, signal, ...(text === undefined ? {} : { text, type }) });
    return JSON.parse(await textOf(answer));
  } catch (error) {
    throw signal.aborted ? new Error(`no answer within ${timeout / 1000} s`) : error;
  }
}

/**
 * Reads the lines of an endless answer until it ends. @param idle - milliseconds without a line after which it is given up; the API server
 * sends a bookmark about once a minute. @throws as askApi, and when the signal is aborted.
 */
export async function watchApi(
  server: ApiServer,
  path: string,
  { signal, idle, begun, line }: { signal: AbortSignal; idle: number; begun: () => void; line: (text: string) => void },
): Promise<void> {
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(new Error(`nothing came within ${idle / 1000} s`)), idle);
  try {
    const answer = await send(server, path, { method: 'GET', signal: AbortSignal.any([signal, giveUp.signal]) });
    begun();
    for await (const each of createInterface({ input: answer })) {
      timer.refresh();
      line(each);
    }
  } catch (error) {
    throw giveUp.signal.aborted ? giveUp.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

interface Sending {
  readonly method: string;
  readonly signal: AbortSignal;
  readonly text?: string;
  readonly type?: string;
}

/** Resolves with the head of a 2xx answer. The token is read each time, because kubelet renews it. */
async function send(
  { url, credentials }: ApiServer,
  path: string,
  { method, signal, text, type }: Sending,
): Promise<IncomingMessage> {
  const plain = url.startsWith('http:');
  const file = (name: string) => readFileSync(join(credentials, name), 'utf8');
  const headers = {
    accept: 'application/json',
    ...(plain ? {} : { authorization: `Bearer ${file('token').trim()}` }),
    ...(type === undefined ? {} : { 'content-type': type }),
  };
  const options = { method, headers, signal, agent: false as const };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const target = new URL(path, url);
  const sent: ClientRequest = plain
    ? httpRequest(target, options, resolve)
    : httpsRequest(target, { ...options, ca: file('ca.crt') }, resolve);
  sent.on('error', reject);
  sent.end(text);
  const answer = await promise;
  const status = answer.statusCode ?? 0;
  if (status < 200 || status > 299) throw new ApiAnswer(status, await textOf(answer));
  return answer;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
