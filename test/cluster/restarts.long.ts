// What a node goes through while pods come and go: an upgrade of ours, restarts of kubelet, containerd and Open vSwitch, a reboot. Pods come
// through it, nothing leaks, and no VF has two pods (VFs: a tree of files; kubelet's reservations are real).
import { strict as assert } from 'node:assert';
import { during, requireSingleHands, startChurn } from './churn.ts';
import { type Cluster, eventually } from './cluster.ts';
import { restartOurs, startMultusCluster, untilRolledOut } from './deployment.ts';
import { counts, lose, repair } from './loss.ts';
import { startVswitchd } from './node.ts';
import {
  deployment,
  leftovers,
  network,
  networkStatus,
  ping,
  pod,
  remove,
  reservations,
  untilNothingIsLeft,
  untilReady,
} from './pods.ts';

const pools = `pools: [{ name: netdev, vnicType: direct, driver: kernel, selectors: [{ vendors: ["8086"] }] }]\n`;
const wish = { networks: 'vf-net@net1', vnicType: 'normal', devices: { 'smartnic.io/direct': 1 } };

describe('a node under pod churn', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await startMultusCluster({ 'pools.yaml': pools, 'config.yaml': 'lostPodAfter: 10\n' });
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.1.0.0/16' }]] };
    await eventually('the definition is served', 20, () =>
      cluster.apply(network('vf-net', { vnicType: 'direct', ipam }, 'smartnic.io/direct'), network('tenant', { vlan: 7, ipam })),
    );
    await eventually('the resources', 30, async () => {
      const { status } = await cluster.get('node', 'node1');
      assert.equal(status.allocatable['smartnic.io/direct'], '8');
    });
    await cluster.apply(pod('stays', wish), pod('too', wish));
    await untilReady(cluster, 'stays', 'too');
  });
  after(async () => await cluster?.[Symbol.asyncDispose]());

  /** The pods that were there before are as they were, and reach each other. */
  async function requireUndisturbed(): Promise<void> {
    const { items } = await cluster.get('-n', 'test', 'pod', 'stays', 'too');
    for (const { metadata, status } of items) {
      assert.equal(status.phase, 'Running', metadata.name);
      assert.equal(status.containerStatuses[0].restartCount, 0, metadata.name);
    }
    const address = (await networkStatus(cluster, 'too')).get('net1')?.ips?.[0] ?? '';
    await ping(cluster, 'stays', address);
    await requireSingleHands(cluster);
  }

  it('an upgrade: no pod fails, ADDs only wait', async () => {
    const churn = startChurn(cluster, 3, wish);
    await during(churn, 3);
    await restartOurs(cluster);
    await untilRolledOut(cluster);
    await during(churn, 3);
    const report = await churn.stop();
    console.log(
      `      ${report.pods} pods came and went; the slowest was Ready after ${report.slowest} ms, ${report.refused} refused`,
    );
    assert.deepEqual(report.retried, []);
    // Up to 1.36 it closes the new plugin's connection together with the old one's: some hundredths of a second in which it refuses pods.
    const { status } = await cluster.get('node', 'node1');
    const [, minor = ''] = /^v1\.(\d+)/.exec(status.nodeInfo.kubeletVersion) ?? [];
    assert.ok(report.refused <= (Number(minor) < 37 ? 1 : 0), `kubelet refused ${report.refused} pods`);
    await requireUndisturbed();
  });

  it('kubelet restarts: pods go on, the resources come back', async () => {
    const churn = startChurn(cluster, 2, wish);
    await during(churn, 2);
    await cluster.restart('kubelet');
    await during(churn, 3);
    await churn.stop();
    await eventually('the resources', 60, async () => {
      const { status } = await cluster.get('node', 'node1');
      assert.equal(status.allocatable['smartnic.io/direct'], '8');
    });
    await requireUndisturbed();
  });

  it('containerd restarts', async () => {
    const churn = startChurn(cluster, 2, wish);
    await during(churn, 2);
    await cluster.restart('containerd');
    await during(churn, 3);
    await churn.stop();
    await requireUndisturbed();
  });

  it('Open vSwitch restarts', async () => {
    const churn = startChurn(cluster, 2, wish);
    await during(churn, 2);
    await cluster.stop('ovs-vswitchd');
    await startVswitchd(cluster);
    await during(churn, 3);
    await churn.stop();
    await requireUndisturbed();
  });

  it('the runtime loses pods and sends no DEL: the sweep takes away what they had, their namespace there or not', async () => {
    const before = await leftovers(cluster);
    await cluster.apply(pod('lost', { networks: 'tenant@net1' }), pod('killed', { networks: 'tenant@net1' }));
    await untilReady(cluster, 'lost', 'killed');
    const counted = await counts(cluster);
    await cluster.stop('kubelet');
    await cluster.kubectl('-n', 'test', 'delete', 'pod', 'lost', 'killed', '--force', '--grace-period=0');
    await lose(cluster, 'lost');
    await cluster.run('ip', ['netns', 'delete', await lose(cluster, 'killed')]);
    await cluster.restart('containerd');
    await eventually('containerd, without which kubelet ends', 30, () => cluster.run('ctr', ['version']));
    await cluster.start('kubelet');
    const began = performance.now();
    // Without these it is done by the sweeps that come every minute.
    await eventually('nothing of them is left', 60, async () => {
      await repair(cluster);
      assert.deepEqual(await leftovers(cluster), before);
    });
    console.log(`      gone ${Math.round((performance.now() - began) / 1000)} s after kubelet was back`);
    assert.deepEqual(await counts(cluster), { ...counted, swept: counted.swept + 2 });
    await cluster.nodeReady();
    await requireUndisturbed();
  });

  it('the node reboots (its namespaces end, its disk stays): pods come back, those with VFs as their Deployment replaces them', async () => {
    await remove(cluster, 'stays', 'too');
    await cluster.apply(
      pod('plain', { networks: 'tenant@net1' }),
      pod('other', { networks: 'tenant@net1' }),
      deployment('vnf', 3, wish),
    );
    await untilReady(cluster, 'plain', 'other');
    await untilAvailable('vnf', 3);
    const before = await namesOf('vnf');
    await cluster.reboot();
    await cluster.nodeReady();
    await untilRolledOut(cluster);
    await eventually('pods without VFs are back', 90, async () => {
      const { items } = await cluster.get('-n', 'test', 'pod', 'plain', 'other');
      for (const { status } of items) assert.deepEqual([status.phase, status.containerStatuses[0].restartCount], ['Running', 1]);
      for (const { status } of items) assert.equal(status.containerStatuses[0].ready, true);
    });
    await ping(cluster, 'plain', (await networkStatus(cluster, 'other')).get('net1')?.ips?.[0] ?? '');
    // Kubelet admits pods before any device plugin has found it again, and refuses for good those that want its devices.
    await untilAvailable('vnf', 3);
    for (const name of before) {
      const { status } = await cluster.get('-n', 'test', 'pod', name);
      assert.deepEqual([status.phase, status.reason], ['Failed', 'UnexpectedAdmissionError']);
    }
    await requireSingleHands(cluster);
    assert.equal((await reservations(cluster)).length, 3);
    await cluster.kubectl('-n', 'test', 'delete', 'deployment/vnf', '--cascade=foreground', '--timeout=60s');
    await remove(cluster, 'plain', 'other');
    await untilNothingIsLeft(cluster);
  });

  const untilAvailable = async (name: string, count: number) =>
    await eventually(`${count} pods of ${name}`, 90, async () => {
      const { status } = await cluster.get('-n', 'test', 'deployment', name);
      assert.equal(status.availableReplicas, count);
    });
  const namesOf = async (name: string): Promise<readonly string[]> => {
    const { items } = await cluster.get('-n', 'test', 'pod', `--selector=app=${name}`);
    return items.map(({ metadata }: { metadata: { name: string } }) => metadata.name);
  };
});
