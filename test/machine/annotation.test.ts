// The way of a pod's annotation from the API server to the plugged interface: a server with a kubeconfig, and a fake API server in the node's
// namespace.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { refused, succeeded } from '../support/answers.ts';
import { type FakeApiServer, type FakePod, kubeconfig, startFakeApiServer } from '../support/fake-api-server.ts';
import { type CniAnswer, containerId, network, startNode, type TestNode } from '../support/node.ts';
import { skipWithoutOvs } from '../support/ovs.ts';

const argsOf = ({ name, uid }: Pick<FakePod, 'name' | 'uid'>) =>
  `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=${uid}`;

describe("a pod's annotation", () => {
  let node: TestNode;
  let api: FakeApiServer;
  const all = new AsyncDisposableStack();
  /** Another pod in each test: what the watch knows of an earlier one is not asked for. */
  let web: Pick<FakePod, 'name' | 'uid'>;
  let tests = 0;

  before(async function () {
    skipWithoutOvs.call(this);
    node = all.use(await startNode({ server: false }));
    api = all.use(await startFakeApiServer({ netns: `/run/netns/${node.ovs.netns}` }));
    await writeFile(join(node.dir, 'kubeconfig'), kubeconfig(api.url));
    await writeFile(join(node.dir, 'with-api.yaml'), configuration(`kubernetes: {kubeconfig: ${node.dir}/kubeconfig}`));
    await writeFile(join(node.dir, 'without-api.yaml'), configuration(''));
    await serve('with-api.yaml');
  });
  after(async () => all.disposeAsync());
  beforeEach(async () => {
    await api.start();
    for (const ask of ['get', 'list', 'watch'] as const) api.fail(ask, undefined);
    tests += 1;
    web = { name: `web-${tests}`, uid: `uid-${tests}` };
  });
  afterEach(async () => assert.deepEqual(await node.leftovers(), []));

  const says = (words: string): FakePod => ({ ...web, annotations: { 'smartnic.io/vnic-type': words } });
  const configuration = (more: string) => `ovsdb: ${node.ovs.address}\nnodeName: n1\nlogLevel: debug\n${more}\n`;
  const serve = (file: string) => node.startServer({ SMARTNIC_CONFIG: join(node.dir, file) });

  /** ADD and then DEL, whatever came of the ADD. */
  async function add(config: object, args = argsOf(web)): Promise<CniAnswer> {
    await using pod = await node.pod();
    const call = { containerId: containerId(), netns: pod.path, config: network(node, config), args };
    const answer = await node.cni('ADD', call);
    succeeded(await node.cni('DEL', call));
    return answer;
  }

  const status = () => node.cni('STATUS', { containerId: '', config: network(node, { cniVersion: '1.1.0', ipam: undefined }) });

  async function statusMatches(words: RegExp): Promise<CniAnswer> {
    for (let tries = 0; tries < 100; tries++) {
      const answer = await status();
      if (words.test(answer.json.msg ?? 'fine')) return answer;
      await sleep(100);
    }
    return assert.fail(`STATUS never matched ${words}: ${(await status()).stdout}`);
  }

  it('decides over the type of the network', async () => {
    api.put(says('{"eth0":"normal"}'));
    assert.equal((await add({ vnicType: 'direct' })).exit, 0);
    api.put(says('normal'));
    assert.equal((await add({ vnicType: 'direct' })).exit, 0);
  });

  it('is refused where the network does not allow the type it names', async () => {
    api.put(says('{"eth0":"direct"}'));
    await eventually(() => add({ allowedVnicTypes: ['normal'] }), 7, /^vnicType: network "tenant-a" does not allow "direct"/);
  });

  it('is refused when it is wrong, for the reader of the events of that pod', async () => {
    api.put(says('Normal'));
    await eventually(() => add({}), 7, /^annotation smartnic\.io\/vnic-type: unknown vnic type "Normal"; write one of normal, /);
    api.put(says('{"eth0":'));
    await eventually(() => add({}), 7, /^annotation smartnic\.io\/vnic-type: "\{\\"eth0\\":" is not JSON; write one of /);
  });

  it("is absent for a pod that is gone, for one that has none and where no pod is named: the network's type decides", async () => {
    assert.equal((await add({})).exit, 0);
    refused(await add({ vnicType: 'normal', allowedVnicTypes: ['direct'] }), 7, /is not among allowedVnicTypes/);
    refused(await add({ allowedVnicTypes: ['direct'] }), 7, /does not allow "normal"/);
    api.put(web);
    assert.equal((await add({})).exit, 0);
    assert.equal((await add({}, '')).exit, 0);
  });

  it('is waited for, not guessed, while the API server is away: try again, and STATUS says why', async () => {
    await api.stop();
    const away = /can't be (read|watched).* http:\/\/127\.0\.0\.1:\d+: /;
    refused(await add({}), 11, /^pod default\/web-\d can't be read from http:\S+: connect ECONNREFUSED/);
    refused(await statusMatches(away), 50, away);
    await api.start();
    api.put(says('normal'));
    succeeded(await statusMatches(/fine/));
    assert.equal((await add({ vnicType: 'direct' })).exit, 0);
  });

  it('is not needed to take a pod away: DEL works while the API server is away', async () => {
    await using pod = await node.pod();
    const call = { containerId: containerId(), netns: pod.path, config: network(node), args: argsOf(web) };
    assert.equal((await node.cni('ADD', call)).exit, 0);
    await api.stop();
    succeeded(await node.cni('DEL', call));
  });

  it('is not waited for longer than the runtime waits for us, from an API server that hangs', async () => {
    api.fail('get', 'hang');
    const began = performance.now();
    refused(await add({}), 11, /^pod default\/web-\d can't be read from http:\S+: no answer within 10 s/);
    assert.ok(performance.now() - began < 15_000);
  });

  it('is out of reach without permission, and the permission is named to the user and in STATUS', async () => {
    const words = /403 Forbidden.*; the account needs the permissions get, list and watch on pods in all namespaces$/;
    for (const ask of ['get', 'list', 'watch'] as const) api.fail(ask, 403);
    refused(await add({}), 11, words);
    api.endWatches();
    refused(await statusMatches(words), 50, words);
    for (const ask of ['get', 'list', 'watch'] as const) api.fail(ask, undefined);
    succeeded(await statusMatches(/fine/));
  });

  it('is not read where no API server is configured: the log and STATUS say so, and nothing fails', async () => {
    await node.server.stop();
    await serve('without-api.yaml');
    api.put(says('Normal'));
    assert.equal((await add({})).exit, 0);
    const answer = await status();
    succeeded(answer);
    assert.equal(
      answer.stderr.trim(),
      "no API server is configured on node n1: annotations of pods are not read, networks' vnicType decides",
    );
    assert.match(await node.log(), /no API server is configured: annotations of pods are not read/);
  });

  /** A change takes a moment to come through the watch. */
  async function eventually(act: () => Promise<CniAnswer>, code: number, words: RegExp): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      const answer = await act();
      if (answer.json.code === code && words.test(answer.json.msg)) return;
      await sleep(20);
    }
    refused(await act(), code, words);
  }
});
