// A fake Kubernetes API server. It serves pods by list, watch and GET, as far as a node's agent asks for them, and can fail in every way in
// which a real one fails its clients. It knows a bearer token and no other authentication, and no other kind of object.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inNetns, openNetns } from '../../host/kernel/netns.ts';

export interface FakePod {
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  readonly nodeName?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** More members of the object, beside metadata and spec. */
  readonly more?: object;
}

/** What is asked: a list, a watch, or one pod. */
export type Ask = 'list' | 'watch' | 'get';

/** An HTTP status, silence, or an answer that ends in the middle. */
export type Fault = number | 'hang' | 'cut';

export interface FakeApiServer extends AsyncDisposable {
  readonly url: string;
  /** What was asked so far, as `list spec.nodeName=n1`, `get default/web-0`, `watch spec.nodeName=n1 from 7`. */
  readonly asked: readonly string[];
  /** Makes or changes a pod; watches see it unless `unseen`. */
  put(pod: FakePod, how?: { readonly unseen: boolean }): void;
  remove(pod: Pick<FakePod, 'namespace' | 'name'>): void;
  /** From now on; `undefined` heals. */
  fail(ask: Ask, fault: Fault | undefined): void;
  /** Forgets all versions: a watch from an earlier one gets 410, open ones an ERROR event with 410 and their end. */
  expire(): void;
  /** A bookmark to every watch. */
  bookmark(): void;
  /** Ends all watches as the server does when their time is over. */
  endWatches(): void;
  readonly watches: () => number;
  /** Away, as when it is restarted: connections break, new ones are refused; and back on the same port. Twice is fine. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface FakeOptions {
  /** Path of the network namespace to listen in; absent: our own. */
  readonly netns?: string;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Without it every ask is answered with 401. */
  readonly token?: string;
}

interface Stored {
  readonly node: string;
  readonly key: string;
  readonly object: object;
}

interface Watcher {
  readonly node: string;
  readonly response: ServerResponse;
}

export async function startFakeApiServer({ netns, tls, token }: FakeOptions = {}): Promise<FakeApiServer> {
  const pods = new Map<string, Stored>();
  const watchers = new Set<Watcher>();
  const faults = new Map<Ask, Fault>();
  const asked: string[] = [];
  const state = { version: 1, oldest: 1, port: 0 };
  /** Events since `oldest`, for watches that begin at an earlier version. */
  const history: { readonly version: number; readonly node: string; readonly line: string }[] = [];

  const emit = (type: string, { node, object }: Stored) => {
    const line = `${JSON.stringify({ type, object })}\n`;
    history.push({ version: state.version, node, line });
    for (const watcher of watchers) if (watcher.node === node) watcher.response.write(line);
  };

  const endWatches = (lastLine: string) => {
    for (const { response } of watchers) response.end(lastLine);
    watchers.clear();
  };

  const list = (response: ServerResponse, node: string) => {
    const items = [...pods.values()].filter((pod) => pod.node === node).map(({ object }) => object);
    send(response, 200, { kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: String(state.version) }, items });
  };

  const watch = (response: ServerResponse, node: string, from: number) => {
    if (from < state.oldest)
      return send(response, 410, status(410, 'Expired', `too old resource version: ${from} (${state.oldest})`));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const event of history) if (event.version > from && event.node === node) response.write(event.line);
    const watcher = { node, response };
    watchers.add(watcher);
    response.on('close', () => watchers.delete(watcher));
  };

  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    const [, namespace, name] = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)$/.exec(url.pathname) ?? [];
    const selector = url.searchParams.get('fieldSelector') ?? '';
    const from = url.searchParams.get('resourceVersion') ?? '0';
    const ask: Ask = name !== undefined ? 'get' : url.searchParams.has('watch') ? 'watch' : 'list';
    asked.push(
      ask === 'get' ? `get ${namespace}/${name}` : ask === 'list' ? `list ${selector}` : `watch ${selector} from ${from}`,
    );
    const fault = faults.get(ask);
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      return send(response, 401, status(401, 'Unauthorized', 'Unauthorized'));
    }
    if (fault === 'hang') return;
    if (fault === 'cut') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"kind":', () => response.destroy());
      return;
    }
    if (fault !== undefined) return send(response, fault, status(fault, reasons[fault] ?? 'Unknown', refusals[fault] ?? 'no'));
    const node = selector.slice('spec.nodeName='.length);
    if (ask === 'list') return list(response, node);
    if (ask === 'watch') return watch(response, node, Number(from));
    const pod = pods.get(`${namespace}/${name}`);
    if (pod === undefined) return send(response, 404, status(404, 'NotFound', `pods "${name}" not found`));
    send(response, 200, pod.object);
  };

  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  const start = async () => {
    if (server.listening) return;
    const listening = once(server, 'listening');
    // Without a host, the socket is made at once, in the namespace that this thread is in.
    const listen = () => server.listen(state.port);
    if (netns === undefined) listen();
    else {
      using inside = openNetns(netns);
      inNetns(inside, listen);
    }
    await listening;
    state.port = (server.address() as AddressInfo).port;
  };
  const stop = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  await start();

  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${state.port}`,
    asked,
    watches: () => watchers.size,
    put: (pod, { unseen } = { unseen: false }) => {
      state.version += 1;
      const stored = store(pod, String(state.version));
      const type = pods.has(stored.key) ? 'MODIFIED' : 'ADDED';
      pods.set(stored.key, stored);
      if (!unseen) emit(type, stored);
    },
    remove: ({ namespace = 'default', name }) => {
      const pod = pods.get(`${namespace}/${name}`);
      if (pod === undefined) return;
      state.version += 1;
      pods.delete(pod.key);
      emit('DELETED', pod);
    },
    fail: (ask, fault) => {
      if (fault === undefined) faults.delete(ask);
      else faults.set(ask, fault);
    },
    expire: () => {
      state.version += 1;
      state.oldest = state.version;
      history.length = 0;
      const line = `${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired', 'too old resource version') })}\n`;
      endWatches(line);
    },
    bookmark: () => {
      state.version += 1;
      const object = { kind: 'Pod', apiVersion: 'v1', metadata: { resourceVersion: String(state.version) } };
      for (const { response } of watchers) response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
    },
    endWatches: () => endWatches(''),
    stop,
    start,
    [Symbol.asyncDispose]: stop,
  };
}

export interface Access {
  /** A PEM text, or the path of a file with one. */
  readonly ca?: string;
  readonly caFile?: string;
  readonly token?: string;
}

/** A kubeconfig for it, as text. */
export function kubeconfig(url: string, { ca, caFile, token }: Access = {}): string {
  const trust = {
    ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }),
    ...(caFile === undefined ? {} : { 'certificate-authority': caFile }),
    // The client accepts plain HTTP only if this is set.
    ...(url.startsWith('http:') ? { 'insecure-skip-tls-verify': true } : {}),
  };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'fake', cluster: { server: url, ...trust } }],
    users: [{ name: 'node', user: token === undefined ? {} : { token } }],
    contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'node' } }],
    'current-context': 'fake',
  });
}

const reasons: Readonly<Record<number, string>> = { 401: 'Unauthorized', 403: 'Forbidden', 500: 'InternalError' };
const refusals: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'pods is forbidden: User "system:serviceaccount:kube-system:smartnic" cannot list resource "pods" in API group ""',
  500: 'etcdserver: request timed out',
};

function store({ namespace = 'default', name, uid, nodeName = 'n1', annotations, more }: FakePod, version: string): Stored {
  const metadata = { namespace, name, uid, resourceVersion: version, ...(annotations === undefined ? {} : { annotations }) };
  const object = { kind: 'Pod', apiVersion: 'v1', metadata, spec: { nodeName, containers: [] }, ...more };
  return { node: nodeName, key: `${namespace}/${name}`, object };
}

function status(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
