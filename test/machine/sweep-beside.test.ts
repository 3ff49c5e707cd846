// The first sweep runs beside serving. Each outsider that hangs costs the sweep its limit once, and a request that finds something not swept
// yet is still answered right.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refused, succeeded } from '../support/answers.ts';
import { type Attached, attach } from '../support/attached.ts';
import { writeIpam } from '../support/crash.ts';
import { type FakeApiServer, kubeconfig, startFakeApiServer } from '../support/fake-api-server.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { network, startNode, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

const ipamTimeout = 4;
/** More than are swept side by side. */
const many = 20;

describe('a sweep beside serving', function () {
  this.timeout(120_000);
  let node: TestNode;
  let api: FakeApiServer;
  forAllTests(
    () => startNode({ server: false, settings: `ipamTimeout: ${ipamTimeout}\n` }),
    async (made, undo) => {
      node = made;
      api = undo.use(await startFakeApiServer({ netns: `/run/netns/${node.ovs.netns}` }));
      await writeFile(join(node.dir, 'kubeconfig'), kubeconfig(api.url));
      const file = join(node.dir, 'config.yaml');
      const more = `nodeName: n1\nkubernetes: { kubeconfig: ${node.dir}/kubeconfig }\nlostPodAfter: 0.1\n`;
      await writeFile(file, `${await readFile(file, 'utf8')}${more}`);
      // Hangs in each DEL while there is a file of that name, and notes its calls.
      const script = `[ $CNI_COMMAND = DEL ] && echo $$ >> ${node.dir}/calls && [ -e ${node.dir}/hang ] && sleep 1000\nexec /usr/lib/cni/host-local`;
      await writeIpam(node, 'hangs', script);
    },
  );
  beforeEach(async () => await node.startServer());
  afterEach(async () => {
    for (const name of ['hang', 'calls']) await rm(join(node.dir, name), { force: true });
    for (const ask of ['list', 'watch', 'get'] as const) api.fail(ask, undefined);
    await node.server.stop();
    assert.deepEqual(await node.leftovers(), []);
  });

  const withIpam = (type: string, more: object = {}) => {
    const { ipam, ...rest } = network(node, more) as { readonly ipam: object };
    return { ...rest, ipam: { ...ipam, type } };
  };
  /** Attaches so many, as pods that the API server knows. */
  const attachAll = async (undo: AsyncDisposableStack, count: number, config: object): Promise<readonly Attached[]> => {
    const all: Attached[] = [];
    for (let at = 0; at < count; at++) {
      const [name, uid] = [`p${at}`, `u${at}`];
      api.put({ name, uid, nodeName: 'n1' });
      const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=${uid}`;
      all.push(undo.use(await attach(node, config, { args })));
    }
    return all;
  };
  /** As after a reboot: the journal is of another boot. */
  const reboot = async () => {
    const directory = join(node.stateDir, 'attachments');
    for (const name of await readdir(directory)) {
      const text = await readFile(join(directory, name), 'utf8');
      await writeFile(join(directory, name), text.replace(/"bootId":"[^"]*"/, '"bootId":"another"'));
    }
  };
  const calls = async () => (await readFile(join(node.dir, 'calls'), 'utf8').catch(() => '')).split('\n').length - 1;
  const took = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return performance.now() - began;
  };

  it('serves at once, and an IPAM plugin that hangs costs its limit once', async () => {
    await using undo = new AsyncDisposableStack();
    await attachAll(undo, many, withIpam('hangs'));
    await using well = await attach(node, network(node, { name: 'other' }));
    await node.server.stop('SIGKILL');
    await reboot();
    await writeFile(join(node.dir, 'hang'), '');
    const server = await node.startServer();
    await using served = await attach(node, network(node));
    succeeded(await served.del());
    const sweeping = await took(() => server.swept());
    assert.ok(sweeping < 3 * ipamTimeout * 1000, `the sweep took ${sweeping} ms`);
    assert.ok((await calls()) <= 8, `IPAM was called ${await calls()} times`);
    // The attachments with another IPAM plugin are gone, and of the rest only the addresses are left.
    assert.ok(!(await node.journal()).includes(`${well.port.slice(2)}.jsonl`));
    assert.ok((await node.leftovers()).every((each) => /^(journal|lease) /.test(each)));
    await rm(join(node.dir, 'hang'));
  });

  it('leaves an interface to the DEL that comes for it, and its hanging program is ended', async () => {
    await using attached = await attach(node, withIpam('hangs'));
    await node.server.stop('SIGKILL');
    await reboot();
    await writeFile(join(node.dir, 'hang'), '');
    await node.startServer();
    await until(async () => (await calls()) > 0, 'the sweep waits for IPAM');
    await rm(join(node.dir, 'hang'));
    const ms = await took(async () => succeeded(await attached.del()));
    assert.ok(ms < ipamTimeout * 1000, `the DEL took ${ms} ms`);
    assert.deepEqual(await node.leftovers(), []);
  });

  it('leaves an interface to the ADD that comes for it, which takes away what is left and plugs anew', async () => {
    await using attached = await attach(node, withIpam('hangs'));
    await node.server.stop('SIGKILL');
    await reboot();
    await writeFile(join(node.dir, 'hang'), '');
    await node.startServer();
    await until(async () => (await calls()) > 0, 'the sweep waits for IPAM');
    await rm(join(node.dir, 'hang'));
    const began = performance.now();
    const again = await node.cni('ADD', attached.call);
    assert.equal(again.exit, 0, again.stdout);
    assert.ok(performance.now() - began < ipamTimeout * 1000, `the ADD took ${performance.now() - began} ms`);
    await node.server.swept();
    const config = { ...(attached.call.config as object), prevResult: again.json };
    succeeded(await node.cni('CHECK', { ...attached.call, config }));
    refused(await node.cni('ADD', attached.call), 100, /is attached to network tenant-a already/);
    succeeded(await attached.del());
  });

  it('serves at once while the API server is silent, and does not ask it for each pod', async () => {
    await using undo = new AsyncDisposableStack();
    const all = await attachAll(undo, many, network(node));
    await node.server.stop();
    for (const ask of ['list', 'watch', 'get'] as const) api.fail(ask, 'hang');
    const before = api.asked.length;
    const server = await node.startServer();
    for (const each of all) succeeded(await each.del());
    await server.swept();
    const gets = api.asked.slice(before).filter((each) => each.startsWith('get '));
    assert.deepEqual(gets, []);
    assert.equal(existsSync(node.socket), true);
  });

  it('asks an API server that falls silent later only some times for all pods that it does not know', async () => {
    await using undo = new AsyncDisposableStack();
    await attachAll(undo, many, network(node));
    for (let at = 0; at < many; at++) api.remove({ name: `p${at}` });
    api.fail('get', 'hang');
    const before = api.asked.length;
    const began = performance.now();
    await node.sweep();
    assert.ok(performance.now() - began < 25_000, `the sweep took ${performance.now() - began} ms`);
    const gets = api.asked.slice(before).filter((each) => each.startsWith('get '));
    assert.ok(gets.length > 0 && gets.length <= 8, `it was asked ${gets.length} times`);
    assert.equal((await node.journal()).length, many);
  });
});
