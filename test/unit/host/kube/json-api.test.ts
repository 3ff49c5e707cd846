// The API server over TLS with a pod's credentials, and answers of every kind.
import { deepEqual, equal, rejects, throws } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { issueAuthority, issueServing, type KeyPair } from '../../../../admission/certificate/issue.ts';
import { type ApiServer, askApi, ownApiServer, watchApi } from '../../../../host/kube/json-api.ts';

describe('the API server over node:https', () => {
  let authority: KeyPair;
  let server: Server;
  let api: ApiServer;
  before(async () => {
    const validity = { now: Date.now(), days: 1 };
    authority = await issueAuthority('test', validity);
    const { certificate: cert, key } = await issueServing(authority, ['localhost'], validity);
    server = createServer({ cert, key }, (request, response) => {
      const { authorization } = request.headers;
      if (request.url === '/hang') return;
      if (request.url === '/watch') {
        response.write('{"a":1}\n{"b":');
        response.write('2}\n');
        return;
      }
      response.statusCode = authorization === 'Bearer secret' ? 200 : 401;
      response.end(JSON.stringify({ authorization, type: request.headers['content-type'], method: request.method }));
    });
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const address = server.address();
    const credentials = mkdtempSync(join(tmpdir(), 'sn-api-'));
    writeFileSync(join(credentials, 'ca.crt'), authority.certificate);
    writeFileSync(join(credentials, 'token'), 'secret\n');
    api = { url: `https://localhost:${typeof address === 'object' ? address?.port : ''}`, credentials };
  });
  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(api.credentials, { recursive: true });
  });

  it('is asked with the token as it is now', async () => {
    const type = 'application/json-patch+json';
    deepEqual(await askApi(api, '/x', { method: 'PATCH', body: [] }), { authorization: 'Bearer secret', type, method: 'PATCH' });
    writeFileSync(join(api.credentials, 'token'), 'old');
    await rejects(askApi(api, '/x'), { code: 401 });
    writeFileSync(join(api.credentials, 'token'), 'secret');
  });

  it('is not trusted without its CA', async () => {
    const other = await issueAuthority('test', { now: Date.now(), days: 1 });
    writeFileSync(join(api.credentials, 'ca.crt'), other.certificate);
    await rejects(askApi(api, '/x'), /certificate|signature/);
    writeFileSync(join(api.credentials, 'ca.crt'), authority.certificate);
  });

  it('is given up when it does not answer, and a watch when nothing comes', async () => {
    await rejects(askApi(api, '/hang', { timeout: 100 }), /^Error: no answer within 0.1 s$/);
    const lines: string[] = [];
    const watching = { signal: new AbortController().signal, idle: 200, begun: () => {} };
    await rejects(
      watchApi(api, '/watch', { ...watching, line: (text) => void lines.push(text) }),
      /^Error: nothing came within 0.2 s$/,
    );
    deepEqual(lines, ['{"a":1}', '{"b":2}']);
  });

  it("is the pod's own by its environment", () => {
    equal(ownApiServer({ KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' }).url, 'https://10.96.0.1:443');
    equal(ownApiServer({ KUBERNETES_SERVICE_HOST: 'fd00::1' }).url, 'https://[fd00::1]:443');
    throws(() => ownApiServer({}), /is this a pod\? outside of one, name --api-server/);
  });
});
