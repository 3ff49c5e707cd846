// The pages that the CNI server has for Prometheus and for kubelet's probes.
import { equal, match, ok } from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { run } from '../../tools/program.ts';
import { attach } from '../support/attached.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

describe("the CNI server's pages", () => {
  let node: TestNode;
  forAllTests(
    () => startNode({ settings: 'kubernetes: { disabled: true }' }),
    (made) => {
      node = made;
    },
  );

  /** From inside the node's namespace: its status and its text. */
  async function page(path: string, port = 9478): Promise<string> {
    const script = `const r = await fetch('http://127.0.0.1:${port}${path}'); console.log(r.status + ' ' + await r.text())`;
    const { stdout } = await run('ip', ['netns', 'exec', node.ovs.netns, process.execPath, '--input-type=module', '-e', script]);
    return stdout.trim();
  }
  async function metric(line: string): Promise<number> {
    const found = (await page('/metrics')).split('\n').find((each) => each.startsWith(`${line} `));
    return Number(found?.slice(line.length) ?? Number.NaN);
  }

  it('count requests by command and code, and attachments by type', async () => {
    const config = network(node);
    await using _ = await attach(node, config);
    const refused = { ...network(node), bridge: 'none' };
    await using pod = await node.pod();
    equal((await node.cni('ADD', { containerId: containerId(), netns: pod.path, config: refused })).json.code, 7);
    equal(await metric('smartnic_cni_request_seconds_count{command="ADD",code="0"}'), 1);
    equal(await metric('smartnic_cni_request_seconds_count{command="ADD",code="7"}'), 1);
    ok((await metric('smartnic_cni_request_seconds_sum{command="ADD",code="0"}')) < 10);
    equal(await metric('smartnic_cni_attachments{vnic_type="normal",phase="added"}'), 1);
    equal(await metric(`smartnic_cni_ovsdb_connected{address="${node.ovs.address}"}`), 1);
    await node.server.swept();
    ok((await metric('smartnic_cni_sweeps_total{result="complete"}')) >= 1);
    equal(await metric('smartnic_cni_pods_watched'), 0);
  });

  it('count what a sweep takes away', async () => {
    const attached = await attach(node, network(node));
    await node.server.stop('SIGKILL');
    await run('ip', ['-n', node.ovs.netns, 'link', 'delete', 'dev', attached.port]);
    await (await node.startServer()).swept();
    equal(await metric('smartnic_cni_swept_total{result="removed"}'), 1);
    equal(await metric('smartnic_cni_swept_total{result="failed"}'), 0);
    await attached[Symbol.asyncDispose]();
  });

  it('tell that it lives and is ready, what it is not ready for, and that nobody finds it any more', async () => {
    equal(await page('/healthz'), '200 ok');
    equal(await page('/readyz'), '200 ok');
    await node.ovs.ovsdb.stop();
    await until(async () => (await page('/readyz')).startsWith('503 OVSDB server unix:'), 'it notices that OVSDB is away');
    equal(await page('/healthz'), '200 ok');
    await node.ovs.ovsdb.start();
    await until(async () => (await page('/readyz')) === '200 ok', 'it notices that OVSDB is back');
    await rm(node.socket);
    match(await page('/healthz'), /^503 the socket .*cni\.sock was removed or replaced/);
    await node.server.stop();
    await node.startServer();
  });

  it('are nowhere with `metrics: off`, and an address that is taken keeps no server from starting', async () => {
    await using silent = await startNode({ settings: 'metrics: off' });
    const listening = await run('ip', ['netns', 'exec', silent.ovs.netns, 'ss', '--no-header', '--listening', '--tcp']);
    equal(listening.stdout, '');
    await using second = await startNode({ settings: 'metrics: 192.0.2.1:9478' });
    const refusal = /cannot serve metrics on 192\.0\.2\.1:9478: .*EADDRNOTAVAIL.*choose another address/;
    await until(async () => refusal.test(await second.log()), 'it says that the address is not to be had');
    equal((await second.cni('STATUS', { containerId: '', config: network(second, { cniVersion: '1.1.0' }) })).stdout, '');
  });
});
