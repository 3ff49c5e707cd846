import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Unavailable } from '../../../../host/base/errors.ts';
import { openLog } from '../../../../host/base/log.ts';
import type { PodName } from '../../../../host/kube/pod-name.ts';
import { type Annotations, noPods, type Pods, watchPods } from '../../../../host/kube/pods.ts';
import { run } from '../../../../host/program/run.ts';
import { type FakeApiServer, type FakeOptions, kubeconfig, startFakeApiServer } from '../../../support/fake-api-server.ts';

const web = { namespace: 'default', name: 'web-0', uid: 'uid-1' };
const direct = { 'smartnic.io/vnic-type': 'direct' };
const normal = { 'smartnic.io/vnic-type': 'normal' };

describe("the annotations of this node's pods", () => {
  let dir: string;
  let undo: AsyncDisposableStack;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sn-pods-'));
  });
  after(async () => {
    await rm(dir, { recursive: true, force: true });
  });
  beforeEach(() => {
    undo = new AsyncDisposableStack();
  });
  afterEach(async () => {
    await undo.disposeAsync();
  });

  async function fake(options?: FakeOptions): Promise<FakeApiServer> {
    return undo.use(await startFakeApiServer(options));
  }

  async function watching(url: string, access?: Parameters<typeof kubeconfig>[1]): Promise<Pods> {
    const path = join(dir, 'kubeconfig');
    await writeFile(path, kubeconfig(url, access));
    const pods = await watchPods({ kubeconfig: path, nodeName: 'n1', log: openLog('silent'), timeout: 300, retryAfter: 20 });
    undo.defer(() => pods.close());
    return pods;
  }

  /** Waits until the condition holds. */
  async function until(holds: () => unknown, what: string): Promise<void> {
    const end = performance.now() + 8000;
    while (!(await holds())) {
      if (performance.now() > end) assert.fail(`waited in vain: ${what}`);
      await sleep(5);
    }
  }

  const watched = (pods: Pods) => until(() => pods.problem() === undefined, 'the watch to begin');
  const gets = (server: FakeApiServer) => server.asked.filter((each) => each.startsWith('get '));

  /** The annotations, and whether the API server was asked for just this pod. */
  async function look(pods: Pods, server: FakeApiServer, pod: PodName) {
    const before = gets(server).length;
    const annotations = await pods.annotations(pod);
    return { annotations, asked: gets(server).length > before };
  }

  /** Waits until the watch itself knows these annotations. */
  const seen = (pods: Pods, server: FakeApiServer, pod: PodName, expected: Annotations) =>
    until(
      async () => {
        const { annotations, asked } = await look(pods, server, pod);
        return !asked && isDeepStrictEqual(annotations, expected);
      },
      `the watch to show ${JSON.stringify(expected)}`,
    );

  it('come from the watch: of the pods that were there, of new ones and changed', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    // A list that a busy machine did not answer in time is asked for again.
    assert.deepEqual([...new Set(server.asked)], ['list spec.nodeName=n1', 'watch spec.nodeName=n1 from 2']);
    assert.deepEqual(await look(pods, server, web), { annotations: direct, asked: false });
    server.put({ name: 'new', uid: 'uid-2' });
    await seen(pods, server, { ...web, name: 'new', uid: 'uid-2' }, {});
    server.put({ ...web, annotations: normal });
    await seen(pods, server, web, normal);
  });

  it('come by GET while the watch has not seen the pod', async () => {
    const server = await fake();
    server.fail('list', 'hang');
    const pods = await watching(server.url);
    server.put({ ...web, annotations: direct });
    assert.deepEqual(await pods.annotations(web), direct);
    assert.deepEqual(gets(server), ['get default/web-0']);
    server.put({ name: 'elsewhere', uid: 'uid-2', nodeName: 'n2', annotations: normal });
    assert.deepEqual(await pods.annotations({ ...web, name: 'elsewhere', uid: 'uid-2' }), normal);
  });

  it('come by GET when the watch still knows an earlier pod of the same name', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    server.put({ ...web, uid: 'uid-2', annotations: normal }, { unseen: true });
    assert.deepEqual(await look(pods, server, { ...web, uid: 'uid-2' }), { annotations: normal, asked: true });
  });

  it("come by GET when the pod's UID is not told: the watch may know an earlier one", async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    server.put({ ...web, uid: 'uid-2', annotations: normal }, { unseen: true });
    assert.deepEqual(await look(pods, server, { namespace: 'default', name: 'web-0' }), { annotations: normal, asked: true });
  });

  it('are never those of another pod of the same name', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    assert.equal(await pods.annotations({ ...web, uid: 'uid-0' }), undefined);
  });

  it('are those of its mirror for a static pod, which has another UID there', async () => {
    const server = await fake();
    const annotations = { ...direct, 'kubernetes.io/config.mirror': 'static-uid' };
    server.put({ ...web, uid: 'mirror-uid', annotations });
    const pods = await watching(server.url);
    await watched(pods);
    assert.deepEqual(await look(pods, server, { ...web, uid: 'static-uid' }), { annotations, asked: false });
  });

  it('are absent for a pod that is gone, or never was', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    server.remove(web);
    await until(async () => (await pods.annotations(web)) === undefined, 'the pod to be gone');
    assert.deepEqual(await look(pods, server, { ...web, name: 'never' }), { annotations: undefined, asked: true });
  });

  it('go on changing after the server ended the watch, without a new list', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    server.endWatches();
    server.put({ ...web, annotations: normal });
    await seen(pods, server, web, normal);
    assert.equal(server.asked.filter((each) => each.startsWith('list')).length, 1);
    assert.equal(server.asked.at(-1), 'watch spec.nodeName=n1 from 2');
  });

  it('go on changing after the version that the watch was at has expired', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    server.put({ ...web, annotations: normal }, { unseen: true });
    server.expire();
    await seen(pods, server, web, normal);
    server.endWatches();
    server.put({ ...web, annotations: direct });
    server.expire();
    await seen(pods, server, web, direct);
  });

  it('need no new list on a quiet node: bookmarks keep the watch young', async () => {
    const server = await fake();
    const pods = await watching(server.url);
    await watched(pods);
    server.bookmark();
    server.endWatches();
    await until(() => server.asked.at(-1) === 'watch spec.nodeName=n1 from 2', 'the watch to go on from the bookmark');
    assert.equal(server.asked.filter((each) => each.startsWith('list')).length, 1);
  });

  it('survive the API server going away and coming back', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url);
    await watched(pods);
    await server.stop();
    await until(() => pods.problem() !== undefined, 'the problem to be seen');
    assert.match(
      pods.problem() ?? '',
      /^the pods of node n1 can't be watched on http:\/\/127\.0\.0\.1:\d+: .*(ECONNREFUSED|closed|terminated|ECONNRESET)/,
    );
    assert.deepEqual(await pods.annotations(web), direct, 'a pod that is known stays known');
    await assert.rejects(pods.annotations({ ...web, name: 'new', uid: 'uid-9' }), (error) => {
      assert.ok(error instanceof Unavailable);
      assert.match(error.message, /^pod default\/new can't be read from http:\S+: connect ECONNREFUSED/);
      return true;
    });
    server.put({ ...web, annotations: normal });
    await server.start();
    await watched(pods);
    await seen(pods, server, web, normal);
  });

  it('are not to be had, never silently absent, as long as the API server refuses, and the reason says what helps', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    for (const [fault, words] of [
      [401, '401 Unauthorized; the credentials are refused: is the token expired, or of another cluster?'],
      [403, `403 Forbidden: ${forbidden}; the account needs the permissions get, list and watch on pods in all namespaces`],
      [500, '500 Internal Server Error: etcdserver: request timed out'],
    ] as const) {
      server.fail('get', fault);
      server.fail('list', fault);
      const pods = await watching(server.url);
      await assert.rejects(pods.annotations(web), {
        name: 'Unavailable',
        message: `pod default/web-0 can't be read from ${server.url}: ${words}`,
      });
      const problem = `the pods of node n1 can't be watched on ${server.url}: ${words}`;
      await until(() => pods.problem() === problem, `the problem to be ${problem}; it is ${pods.problem()}`);
      pods.close();
    }
  });

  it('are had by GET though the watch is refused; the problem stays until a watch is under way', async () => {
    const server = await fake();
    server.put({ ...web, annotations: direct });
    server.fail('watch', 403);
    const pods = await watching(server.url);
    const words = '403 Forbidden; the account needs the permissions get, list and watch on pods in all namespaces';
    await until(() => pods.problem()?.endsWith(words), 'the problem to be named');
    await until(() => server.asked.filter((each) => each.startsWith('watch')).length > 3, 'more tries');
    assert.ok(pods.problem()?.endsWith(words));
    server.put({ name: 'new', uid: 'uid-2', annotations: normal });
    assert.deepEqual(await pods.annotations({ ...web, name: 'new', uid: 'uid-2' }), normal);
    server.fail('watch', undefined);
    await watched(pods);
  });

  it('are not to be had from a server that hangs, after the limit and not later', async () => {
    const server = await fake();
    server.fail('get', 'hang');
    server.fail('list', 'hang');
    const pods = await watching(server.url);
    const began = performance.now();
    await assert.rejects(pods.annotations(web), {
      name: 'Unavailable',
      message: `pod default/web-0 can't be read from ${server.url}: no answer within 0.3 s`,
    });
    assert.ok(performance.now() - began < 2000);
    await until(() => pods.problem()?.endsWith('no answer within 0.3 s'), 'the problem to be named');
    server.fail('list', undefined);
    await watched(pods);
  });

  it('are not to be had from an answer that ends in the middle', async () => {
    const server = await fake();
    server.fail('get', 'cut');
    server.fail('list', 'cut');
    const pods = await watching(server.url);
    await assert.rejects(pods.annotations(web), { name: 'Unavailable' });
    await until(() => pods.problem()?.startsWith("the pods of node n1 can't be watched"), 'the problem to be named');
    server.fail('list', undefined);
    await watched(pods);
  });

  it('come over TLS, with the token, from a server whose certificate is trusted', async () => {
    const tls = await certificate(dir);
    const server = await fake({ tls, token: 'secret' });
    server.put({ ...web, annotations: direct });
    const pods = await watching(server.url, { ca: tls.cert, token: 'secret' });
    await watched(pods);
    assert.deepEqual(await look(pods, server, web), { annotations: direct, asked: false });
    const wrong = await watching(server.url, { ca: tls.cert, token: 'old' });
    await assert.rejects(wrong.annotations(web), /: 401 Unauthorized; the credentials are refused/);
    const distrustful = await watching(server.url, { token: 'secret' });
    await assert.rejects(distrustful.annotations(web), /can't be read from https:\S+: self-signed certificate/);
  });

  it('outlive the file of the certificate that a watch needs: it is named, and looked for again', async () => {
    const tls = await certificate(dir);
    const server = await fake({ tls });
    const ca = join(dir, 'ca.pem');
    await writeFile(ca, tls.cert);
    const pods = await watching(server.url, { caFile: ca });
    await watched(pods);
    await rm(ca);
    server.endWatches();
    await until(() => pods.problem()?.includes(`no such file or directory, open '${ca}'`), 'the problem to be named');
    await writeFile(ca, tls.cert);
    await watched(pods);
  });

  it('are not asked for any more once closed', async () => {
    const server = await fake();
    const pods = await watching(server.url);
    await watched(pods);
    pods.close();
    await until(() => server.watches() === 0, 'the watch to end');
    const { length } = server.asked;
    await sleep(100);
    assert.equal(server.asked.length, length);
  });

  it('can not be watched with a kubeconfig that is absent, broken or names no cluster: that is said at start', async () => {
    const path = join(dir, 'broken');
    const open = () => watchPods({ kubeconfig: path, nodeName: 'n1', log: openLog('silent') });
    await assert.rejects(open(), /^Error: kubernetes\.kubeconfig: .*broken can't be used: ENOENT/);
    await writeFile(path, '{"clusters": 5');
    await assert.rejects(open(), /^Error: kubernetes\.kubeconfig: .*broken can't be used: /);
    await writeFile(path, '{"apiVersion": "v1", "kind": "Config"}');
    await assert.rejects(open(), /^Error: kubernetes\.kubeconfig: .*broken /);
  });

  it('are absent without an API server, which is no problem', async () => {
    assert.equal(await noPods.annotations(web), undefined);
    assert.deepEqual([noPods.problem(), noPods.configured], [undefined, false]);
  });
});

const forbidden =
  'pods is forbidden: User "system:serviceaccount:kube-system:smartnic" cannot list resource "pods" in API group ""';

async function certificate(dir: string): Promise<{ readonly key: string; readonly cert: string }> {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const subject = ['-subj', '/CN=fake', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const { exitCode, stderr } = await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
    ...[...subject, '-keyout', key, '-out', cert],
  ]);
  if (exitCode !== 0) throw new Error(stderr);
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
}
