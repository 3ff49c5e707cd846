// The server that API servers call: real TLS, and callers who don't keep to the rules.
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { Agent, request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { pino } from 'pino';
import { issueAuthority, issueServing, type KeyPair } from '../../../../admission/certificate/issue.ts';
import { type HttpsServer, serveTls } from '../../../../host/program/https.ts';

const servername = 'a.kube-system.svc';

interface Said {
  readonly status: number | undefined;
  readonly text: string;
  readonly connection: string | undefined;
}

describe('a server for JSON over TLS', () => {
  let authorities: readonly KeyPair[];
  let pairs: readonly KeyPair[];
  let server: HttpsServer;
  let agent: Agent;
  const release = Promise.withResolvers<void>();
  before(async () => {
    const validity = { now: Date.now(), days: 10 };
    authorities = [await issueAuthority('a', validity), await issueAuthority('b', validity)];
    pairs = await Promise.all(authorities.map((each) => issueServing(each, [servername], validity)));
  });
  beforeEach(async () => {
    agent = new Agent({ keepAlive: true });
    server = await serveTls({
      ...{ hostname: '127.0.0.1', port: 0, longest: 1000, patience: 200, log: pino({ level: 'silent' }) },
      handlers: {
        '/echo': async (body) => ({ status: 200, body: { body } }),
        '/slow': async () => ({ status: 200, body: { slept: await sleep(100) } }),
        '/hang': async () => ({ status: 200, body: await release.promise }),
        '/fail': async () => Promise.reject(new Error('the network is not known')),
      },
    });
  });
  afterEach(async () => {
    agent.destroy();
    await server.stop(0);
  });
  const serve = (which: 0 | 1 = 0) => server.use(pairs[which] ?? { certificate: '', key: '' });
  const call = (path: string, body = '{}', { method = 'POST', trusting = 0 } = {}): Promise<Said> =>
    new Promise((resolve, reject) => {
      const ca = authorities[trusting]?.certificate;
      const options = { host: '127.0.0.1', port: server.port, path, method, ca, servername, agent };
      const sent = request(options, (answer) => {
        let text = '';
        answer.on('data', (chunk) => {
          text += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode, text, connection: answer.headers.connection }));
      });
      sent.on('error', reject);
      sent.end(body);
    });

  it('answers nobody before it has a certificate, and everybody after', async () => {
    await rejects(call('/echo'));
    serve();
    deepEqual((await call('/echo', '{"a":1}')).text, '{"body":{"a":1}}');
  });

  it('takes another certificate while connections are open, and calls on them go on', async () => {
    serve();
    await call('/echo');
    const slow = call('/slow');
    serve(1);
    equal((await slow).status, 200);
    equal((await call('/echo')).status, 200); // on the connection that it has
    agent.destroy();
    await rejects(call('/echo'), /signature|self-signed|unable to (get|verify)/);
    equal((await call('/echo', '{}', { trusting: 1 })).status, 200);
  });

  it('says what is wrong with a call', async () => {
    serve();
    const answers = [
      [await call('/nothing'), 404, /^there is nothing here but \/echo, /],
      [await call('/echo', '', { method: 'GET' }), 405, /^only POST$/m],
      [await call('/echo', 'x'), 400, /^the body is not JSON: /],
      [await call('/echo', JSON.stringify('x'.repeat(2000))), 413, /^a body has at most 1000 bytes$/m],
      [await call('/hang'), 504, /^no answer within 200 ms$/m],
      [await call('/fail'), 500, /^the network is not known$/m],
      [await call('/__proto__'), 404, /^there is nothing here/],
    ] as const;
    for (const [{ status, text }, expected, words] of answers) {
      equal(status, expected);
      match(text, words);
    }
  });

  it('serves on while it ends, lets callers go elsewhere, and ends without those who only hold a connection', async () => {
    serve();
    const idle: Socket = connect(server.port, '127.0.0.1');
    idle.on('error', () => {});
    const open = connectTls({ port: server.port, host: '127.0.0.1', ca: authorities[0]?.certificate, servername });
    open.on('error', () => {});
    equal((await call('/echo')).connection, 'keep-alive');
    const stopped = server.stop(100);
    const slow = call('/slow');
    const { status, connection } = await call('/echo');
    deepEqual([status, connection], [200, 'close']);
    equal((await slow).status, 200);
    await stopped;
    await rejects(call('/echo'), { code: 'ECONNREFUSED' });
    idle.destroy();
    open.destroy();
  });

  it('says which address it can not have', async () => {
    const options = {
      hostname: '127.0.0.1',
      port: server.port,
      longest: 1,
      patience: 1,
      log: pino({ level: 'silent' }),
      handlers: {},
    };
    await rejects(serveTls(options), /^Error: cannot serve on 127.0.0.1:\d+: .*EADDRINUSE.*; choose another address$/);
  });
});
