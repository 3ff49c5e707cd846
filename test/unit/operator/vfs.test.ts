import { deepEqual, match, ok } from 'node:assert/strict';
import { join } from 'node:path';
import { makeMetrics } from '../../../device-plugin/metrics.ts';
import { livenessProblems, readinessProblems } from '../../../device-plugin/readiness.ts';
import type { KernelFacts } from '../../../host/nic/nics.ts';
import { explainVf } from '../../../operator/explain.ts';
import { showVfs } from '../../../operator/vfs.ts';
import { readView } from '../../../operator/view.ts';
import { igb, mlx5 } from '../../support/nic-trees.ts';
import { type PluginMachine, startMachine } from '../../support/plugin-machine.ts';
import { needsRoot } from '../../support/root.ts';
import { answering } from '../../support/sysfs-tree.ts';

const text = `pools:
  - { name: fast, vnicType: [direct, virtio-forwarder], selectors: [{ eswitchMode: switchdev, capabilities: [hw-tc-offload] }] }
  - { name: rest, vnicType: direct, resourceName: rest, numaPolicy: required, selectors: [{ drivers: [iavf] }, { pfNames: ["enp65s0#0-1"] }] }
`;
const facts: Partial<KernelFacts> = {
  hwTcOffload: new Map([['ens1f0np0', true]]),
  addresses: new Map([['ens1f0v1', ['192.0.2.7/24']]]),
};

describe('for a person', () => {
  let machine: PluginMachine;
  before(async () => {
    machine = await startMachine([mlx5(0, 3), igb({ vfs: 2 })], text);
    machine.facts = facts;
    await machine.plugin.look();
    await machine.kubelet.untilOffered('smartnic.io/direct', 2);
    await machine.kubelet.admit({ name: 'default/p', containers: { c: { 'smartnic.io/direct': 1 } } });
  });
  after(() => machine.stop());

  const view = (config = 'etc/pools.yaml') =>
    readView({ host: machine.tree.host, ask: answering(facts), config: join(machine.tree.root, config), kubeletDir: '/k' });

  it('`vfs` shows every vf with its place, its resources and its state', async () => {
    deepEqual(showVfs(await view()).split('\n'), [
      'ADDRESS       PF         INDEX  DRIVER     NUMA  RESOURCES                                        STATE',
      '0000:3b:01.0  ens1f0np0  0      mlx5_core  1     smartnic.io/direct,smartnic.io/virtio-forwarder  allocated as smartnic.io/direct in default/p (container c)',
      '0000:3b:01.1  ens1f0np0  1      mlx5_core  1     -                                                in use by the host: ens1f0v1 has address 192.0.2.7/24',
      '0000:3b:01.2  ens1f0np0  2      mlx5_core  1     smartnic.io/direct,smartnic.io/virtio-forwarder  free',
      '0000:41:10.0  enp65s0    0      igbvf      -     -                                                not offered (see explain)',
      '0000:41:10.2  enp65s0    1      igbvf      -     -                                                not offered (see explain)',
      '',
    ]);
  });

  it('`explain` names the selector and the guard that keep a vf out of each pool', async () => {
    const lines = explainVf(await view(), '0000:41:10.2').split('\n');
    ok(lines.includes('pool fast (line 2): not offered'), lines.join('\n'));
    ok(
      lines.includes(
        '  selector 1: does not fit: eswitchMode: pf 0000:41:00.0 is in legacy mode, not switchdev; capabilities: it has no hw-tc-offload',
      ),
      lines.join('\n'),
    );
    ok(lines.includes('pool rest (line 3): not offered'));
    ok(lines.includes('  selector 1: does not fit: drivers: driver igbvf is not one of iavf'));
    ok(lines.includes('  selector 2: fits'));
    ok(lines.includes('  kept out: numaPolicy required: the machine does not say which NUMA node it is on'));
    match(explainVf(await view(), '0000:3b:01.1'), /kept out: ens1f0v1 has address 192\.0\.2\.7\/24/);
    match(
      explainVf(await view(), '0000:3b:01.0'),
      /pool fast \(line 2\): offered as smartnic\.io\/direct and smartnic\.io\/virtio-forwarder/,
    );
  });

  it('`explain` says of what is no vf what it is', async () => {
    match(explainVf(await view(), '0000:3b:00.0'), /^0000:3b:00\.0 is a PF \(ens1f0np0\) with 3 of 64 VFs; only VFs are offered/);
    match(
      explainVf(await view(), '0000:99:00.0'),
      /^0000:99:00\.0 is not a VF of this machine; `vfs` lists them; PFs: 0000:3b:00\.0 ens1f0np0 \(3 of 64 VFs\)/,
    );
  });

  it('both show what the last good configuration offers while the present one is refused', async () => {
    const shown = showVfs(await view())
      .split('\n')
      .slice(0, -1);
    for (const refused of ['pools: [', text.replace('drivers: [iavf]', 'vendors: ["15b3"]')]) {
      machine.configure(refused);
      await machine.kubelet.until('it is refused', () => machine.plugin.status.config.problems.length > 0);
      const lines = showVfs(await view()).split('\n');
      deepEqual(lines.slice(0, shown.length), shown);
      match(
        lines.at(-2) ?? '',
        /^! .*pools\.yaml is refused: what is shown here is offered by the last good one, \/run\/smartnic/,
      );
      match(explainVf(await view(), '0000:3b:01.2'), /pool fast \(line 2\): offered as/);
      machine.configure(text);
      await machine.kubelet.until('it is accepted', () => machine.plugin.status.config.problems.length === 0);
    }
    deepEqual(
      showVfs(await view())
        .split('\n')
        .slice(0, -1),
      shown,
    );
  });

  it('both work, and say so, without a configuration', async () => {
    const shown = showVfs(await view('etc/none.yaml'));
    match(shown, /0000:41:10\.0 .* not offered/);
    match(shown, /\n! .*etc\/none\.yaml:1: the file is missing; create it/);
  });

  it('metrics tell states and problems, probes tell what is wrong', async function () {
    needsRoot.call(this, 'to make socket directories that are its own');
    const { plugin } = machine;
    const metrics = await makeMetrics(() => plugin.status).metrics();
    for (const line of [
      'smartnic_vfs{resource="smartnic.io/direct",pool="fast",state="allocated"} 1',
      'smartnic_vfs{resource="smartnic.io/direct",pool="fast",state="free"} 1',
      'smartnic_vfs{resource="smartnic.io/virtio-forwarder",pool="fast",state="taken"} 1',
      'smartnic_vfs{resource="smartnic.io/rest",pool="rest",state="free"} 0',
      'smartnic_vfs_in_use_by_host 1',
      'smartnic_config_broken 0',
      'smartnic_kubelet_registered{resource="smartnic.io/direct"} 1',
    ]) {
      ok(
        metrics.split('\n').includes(line),
        `${line} is not in\n${metrics
          .split('\n')
          .filter((one) => one.startsWith('smartnic'))
          .join('\n')}`,
      );
    }
    await machine.kubelet.until('all resources are registered', () => readinessProblems(plugin.status).length === 0);
    deepEqual(livenessProblems(plugin.status, performance.now()), []);
    match(livenessProblems(plugin.status, performance.now() + 100_000).join(), /no look at the machine has ended for 1\d\d s/);
    const lonely = {
      ...plugin.status,
      kubelet: {
        ...plugin.status.kubelet,
        status: plugin.status.kubelet.status.map((one) => ({ ...one, state: 'waiting' as const })),
      },
    };
    match(readinessProblems(lonely).join(), /smartnic\.io\/direct is not registered with kubelet \(waiting\)/);
  });

  it('both show as held what only an init container was given, which kubelet does not list', async () => {
    const limits = { 'smartnic.io/direct': 1 };
    await machine.kubelet.admit({ name: 'default/q', initContainers: { first: limits }, containers: {} });
    const held = `allocated as smartnic.io/direct in the pod with UID default/q (container first), as kubelet's checkpoint says`;
    const [line = ''] = showVfs(await view())
      .split('\n')
      .filter((one) => one.startsWith('0000:3b:01.2 '));
    ok(line.endsWith(held), line);
    match(explainVf(await view(), '0000:3b:01.2'), /allocated +smartnic\.io\/direct in the pod with UID default\/q/);
  });
});

describe('on a machine without PFs, such as a virtual machine that was given VFs', () => {
  const imported = JSON.stringify({
    resourceList: [{ resourceName: 'a', resourcePrefix: 'x.io', selectors: { drivers: ['iavf'] } }],
  });

  it('an imported configuration is said to offer nothing, by `vfs` and by the plugin', async () => {
    const machine = await startMachine([], imported);
    try {
      await machine.kubelet.untilOffered('x.io/a', 0);
      await machine.plugin.look();
      const config = join(machine.tree.root, 'etc/pools.yaml');
      const shown = showVfs(await readView({ host: machine.tree.host, ask: answering({}), config, kubeletDir: '/k' }));
      match(shown, /^! nothing of pools\.yaml is offered here: this machine has no PF/m);
      deepEqual(machine.plugin.status.remarks.length, 1);
    } finally {
      await machine.stop();
    }
  });
});
