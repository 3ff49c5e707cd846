// Routes from an IPAM plugin, in a pod that has routes already. We accept whatever the reference plugins accept.
import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import type { TestNetns } from '../support/netns.ts';
import { network, type TestNode } from '../support/node.ts';

interface Shown {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly metric?: number;
}

describe('routes', function () {
  this.timeout(30_000);
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  /** ADD of net1 with that answer, in a pod whose eth0 has addresses and default routes of both families. */
  async function plug(answer: object): Promise<TestNetns> {
    const file = join(node.dir, 'ipam/answers');
    await writeFile(join(node.dir, 'answer'), JSON.stringify({ cniVersion: '1.1.0', ...answer }));
    await writeFile(file, `#!/bin/sh\ncat > /dev/null\n[ "$CNI_COMMAND" != ADD ] || cat ${node.dir}/answer\n`);
    await chmod(file, 0o755);
    const pod = undo.use(await node.pod());
    const eth0 = [
      'link add eth0 type veth peer name far',
      'link set eth0 up',
      'link set far up',
      'addr add 10.244.1.5/24 dev eth0',
      'route add default via 10.244.1.1',
      'addr add fd44::5/64 dev eth0 nodad',
      '-6 route add default via fd44::1',
    ];
    for (const line of eth0) await run('ip', ['-n', pod.name, ...line.split(' ')]);
    undo.use(await attach(node, network(node, { cniVersion: '1.1.0', ipam: { type: 'answers' } }), { in: pod, ifname: 'net1' }));
    return pod;
  }

  async function routesOf(pod: TestNetns, family: '-4' | '-6', ...which: readonly string[]): Promise<readonly Shown[]> {
    const { stdout } = await run('ip', ['-n', pod.name, '-json', family, 'route', 'show', ...which]);
    return JSON.parse(stdout);
  }
  const spelled = (routes: readonly Shown[]) => routes.map(({ dst, gateway = '-', dev }) => `${dst} ${gateway} ${dev}`);
  const ips = [{ address: '10.9.0.2/24', gateway: '10.9.0.1' }];

  it('may bring a second default route; the one that was there stays in force, and ours takes over when that goes', async () => {
    const pod = await plug({ ips, routes: [{ dst: '0.0.0.0/0' }] });
    const inForce = async () =>
      JSON.parse((await run('ip', ['-n', pod.name, '-json', 'route', 'get', '192.0.2.1'])).stdout)[0].dev;
    assert.deepEqual(spelled(await routesOf(pod, '-4', 'default')), ['default 10.244.1.1 eth0', 'default 10.9.0.1 net1']);
    assert.equal(await inForce(), 'eth0');
    await run('ip', ['-n', pod.name, 'route', 'del', 'default', 'via', '10.244.1.1']);
    assert.equal(await inForce(), 'net1');
  });

  it('may bring a second IPv6 default route; the one that was there stays the only one', async () => {
    const pod = await plug({ ips: [{ address: 'fd09::2/64', gateway: 'fd09::1' }], routes: [{ dst: '::/0' }] });
    assert.deepEqual(spelled(await routesOf(pod, '-6', 'default')), ['default fd44::1 eth0']);
  });

  it('may name what the address itself makes, the same route twice, and one destination by two gateways', async () => {
    const pod = await plug({
      ips: [...ips, { address: 'fd09::2/64', gateway: 'fd09::1' }],
      routes: [
        { dst: '10.9.0.0/24' },
        { dst: 'fd09::/64', gw: 'fd09::1' },
        { dst: '10.50.0.0/16', gw: '10.9.0.1' },
        { dst: '10.50.0.0/16', gw: '10.9.0.1' },
        { dst: '10.50.0.0/16', gw: '10.9.0.3' },
      ],
    });
    assert.deepEqual(spelled(await routesOf(pod, '-4', 'to', 'exact', '10.50.0.0/16')), [
      '10.50.0.0/16 10.9.0.1 net1',
      '10.50.0.0/16 10.9.0.3 net1',
    ]);
  });

  it('may be 2000', async () => {
    const routes = Array.from({ length: 2000 }, (_, at) => ({ dst: `10.${100 + (at >> 8)}.${at & 255}.0/24`, gw: '10.9.0.1' }));
    const pod = await plug({ ips, routes });
    assert.equal((await routesOf(pod, '-4', 'via', '10.9.0.1')).length, 2000);
  });

  it('have the keys of CNI 1.1: mtu, advmss, priority, table, scope', async () => {
    const more = { table: 100, priority: 5, mtu: 1400, advmss: 1300 };
    const pod = await plug({
      ips,
      routes: [
        { dst: '10.7.0.0/16', gw: '10.9.0.1', ...more },
        { dst: '10.8.0.1/32', scope: 253 },
      ],
    });
    const [given] = (await routesOf(pod, '-4', 'table', '100')) as readonly (Shown & { readonly metrics: readonly object[] })[];
    assert.deepEqual([given?.dst, given?.metric, given?.metrics], ['10.7.0.0/16', 5, [{ mtu: 1400, advmss: 1300 }]]);
    assert.deepEqual(await routesOf(pod, '-4', 'to', 'exact', '10.8.0.1/32'), [
      { dst: '10.8.0.1', dev: 'net1', scope: 'link', flags: [] },
    ]);
  });
});
