// A fake API server for objects of any kind: GET, PUT with a version, JSON patches, and lists with a watch. It checks no object.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

// biome-ignore lint/suspicious/noExplicitAny: objects of any kind
type Anything = any;

export class FakeObjectApi implements AsyncDisposable {
  /** By path. */
  readonly objects = new Map<string, Anything>();
  /** Method and path of every request. */
  readonly asked: string[] = [];
  /** While set, every request is refused with this status. */
  refusing: number | undefined;
  readonly #watchers = new Set<{ readonly path: string; readonly response: ServerResponse }>();
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response));
  #version = 1;

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  put(path: string, object: Anything): void {
    const type = this.objects.has(path) ? 'MODIFIED' : 'ADDED';
    this.#tell(path, type, this.#keep(path, object));
  }

  remove(path: string): void {
    const object = this.objects.get(path);
    this.objects.delete(path);
    this.#version += 1;
    this.#tell(path, 'DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } });
  }

  #keep(path: string, object: Anything): Anything {
    this.#version += 1;
    const kept = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.objects.set(path, kept);
    return kept;
  }

  #tell(path: string, type: string, object: Anything): void {
    for (const watcher of this.#watchers)
      if (listOf(path) === watcher.path) watcher.response.write(`${JSON.stringify({ type, object })}\n`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    const { pathname: path } = url;
    const method = request.method ?? '';
    this.asked.push(`${method} ${path}${url.searchParams.has('watch') ? ' watch' : ''}`);
    if (this.refusing !== undefined) return send(response, this.refusing, { message: 'refused by the test' });
    if (url.searchParams.has('watch')) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      const watcher = { path, response };
      this.#watchers.add(watcher);
      return void response.on('close', () => this.#watchers.delete(watcher));
    }
    const object = this.objects.get(path);
    const members = [...this.objects].filter(([each]) => listOf(each) === path).map(([, each]) => each);
    if (object === undefined && (members.length > 0 || path.endsWith('s')))
      return send(response, 200, { metadata: { resourceVersion: String(this.#version) }, items: members });
    if (object === undefined) return send(response, 404, { message: `${path} not found` });
    if (method === 'GET') return send(response, 200, object);
    const body: Anything = JSON.parse(await textOf(request));
    if (method === 'PATCH') return send(response, 200, this.#keep(path, patched(object, body)));
    if (body.metadata.resourceVersion !== object.metadata.resourceVersion)
      return send(response, 409, { message: 'the object has been modified' });
    send(response, 200, this.#keep(path, body));
  }
}

/** `/apis/g/v1/namespaces/ns/kinds/name` is a member of `/apis/g/v1/kinds`. */
function listOf(path: string): string {
  return path.replace(/\/namespaces\/[^/]+/, '').replace(/\/[^/]+$/, '');
}

/** `test` and `add` of members. */
function patched(object: Anything, operations: readonly { op: string; path: string; value: unknown }[]): Anything {
  const copy = structuredClone(object);
  for (const { op, path, value } of operations) {
    const keys = path.split('/').slice(1);
    const last = keys.pop() ?? '';
    const parent = keys.reduce((at, key) => at[key], copy);
    if (op === 'add') parent[last] = value;
    else if (parent[last] !== value) throw new Error(`test of ${path} failed`);
  }
  return copy;
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
