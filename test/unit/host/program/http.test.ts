import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEndpoint, serveHttp, verdict, withMetricsHost } from '../../../../host/program/http.ts';
import { run } from '../../../../tools/program.ts';

describe('the HTTP pages', () => {
  it('answer what is there, refuse the rest, and name an address that is taken', async () => {
    let problems: readonly string[] = [];
    const pages = { '/readyz': () => verdict(problems), '/broken': () => Promise.reject(new Error('no luck')) };
    const server = await serveHttp({ hostname: '127.0.0.1', port: 0 }, pages);
    try {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const get = async (path: string, method = 'GET') => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
        return `${response.status} ${(await response.text()).trim()}`;
      };
      equal(await get('/readyz'), '200 ok');
      problems = ['kubelet is absent', 'so is everything'];
      equal(await get('/readyz?verbose'), '503 kubelet is absent\nso is everything');
      equal(await get('/readyz', 'POST'), '405 only GET and HEAD');
      equal(await get('/toString'), '404 there is nothing here but /readyz, /broken');
      equal(await get('/broken'), '500 no luck');
      await serveHttp({ hostname: '127.0.0.1', port }, {}).then(
        () => ok(false, 'a taken port was served'),
        (error: Error) =>
          match(error.message, /^cannot serve metrics on 127\.0\.0\.1:\d+: .*EADDRINUSE.*; choose another address$/),
      );
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

describe('all addresses of a machine', () => {
  const serve = `
    import { parseEndpoint, serveHttp, verdict } from '${join(import.meta.dirname, '../../../../host/program/http.ts')}';
    const server = await serveHttp(parseEndpoint(':0'), { '/readyz': () => verdict([]) });
    const { port } = server.address();
    console.log((await fetch(\`http://127.0.0.1:\${port}/readyz\`)).status);
    server.close();
    server.closeAllConnections();`;

  it('are served where the real kernel has no IPv6, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sn-http-'));
    try {
      const without = join(folder, 'without-ipv6');
      await run('cc', ['-o', without, join(import.meta.dirname, '../../../support/without-ipv6.c')]);
      for (const program of [[], [without]]) {
        const [file = '', ...args] = [...program, process.execPath, '--input-type=module', '--eval', serve];
        equal((await run(file, args)).stdout, '200');
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are those that SMARTNIC_METRICS_HOST says, and a wrong one is named', () => {
    const cases = { all: ':9477', '': '127.0.0.1:9477', '10.0.0.7': '10.0.0.7:9477', 'fd00::7': '[fd00::7]:9477' };
    for (const [host, address] of Object.entries(cases)) equal(withMetricsHost('127.0.0.1:9477', host), address);
    for (const host of ['a b', 'x/y', '[::1]'])
      throws(
        () => withMetricsHost('127.0.0.1:9477', host),
        /SMARTNIC_METRICS_HOST: ".*" is no host; write an address of the node, or all/,
      );
  });
});

describe('an address to listen on', () => {
  const cases = {
    '127.0.0.1:9477': { hostname: '127.0.0.1', port: 9477 },
    '[::1]:9477': { hostname: '::1', port: 9477 },
    ':80': { hostname: '::', port: 80 },
    'node-1:0': { hostname: 'node-1', port: 0 },
    '9477': undefined,
    'h:99999': undefined,
    '::1:80': undefined,
    'h:80/metrics': undefined,
    '': undefined,
  };
  for (const [text, expected] of Object.entries(cases))
    it(`${JSON.stringify(text)} is ${expected === undefined ? 'none' : 'one'}`, () => deepEqual(parseEndpoint(text), expected));
});
