// What the doctor says about nodes that lack something. The nodes are trees of sysfs, directories, and sockets that exist or not. Open vSwitch is
// a stand-in that answers two questions; test/machine/operator.test.ts has the real one.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseSettings } from '../../../cni/attachment/settings.ts';
import { Unavailable } from '../../../host/base/errors.ts';
import { lastGoodPools } from '../../../inventory/config/last-good.ts';
import { badConfiguration, examineConfiguration } from '../../../operator/doctor/configuration.ts';
import { examine, hasFailed, render } from '../../../operator/doctor/doctor.ts';
import type { Examination, Finding, Patient } from '../../../operator/doctor/finding.ts';
import { examineForwarder } from '../../../operator/doctor/forwarder.ts';
import { examineIpam } from '../../../operator/doctor/ipam.ts';
import { examineIpv6 } from '../../../operator/doctor/ipv6.ts';
import { examineNics } from '../../../operator/doctor/nics.ts';
import { examinePools } from '../../../operator/doctor/pools.ts';
import { examineApiServer, examineExecutable, examineKubelet } from '../../../operator/doctor/runtime.ts';
import { examineServer } from '../../../operator/doctor/server.ts';
import { survey } from '../../../operator/doctor/survey.ts';
import { FakeKubelet } from '../../support/fake-kubelet.ts';
import { igb, mlx5 } from '../../support/nic-trees.ts';
import { answering, makeTree, type Tree, type TreePf } from '../../support/sysfs-tree.ts';

describe('the doctor', () => {
  const undo = new DisposableStack();
  after(() => undo.dispose());

  interface Node {
    readonly tree: Tree;
    readonly patient: Patient;
    examine(examination: Examination): Promise<readonly string[]>;
  }

  /** @param config - lines of the node's configuration. */
  function node(pfs: readonly TreePf[] = [], config = '', otherConfig: Readonly<Record<string, string>> = {}): Node {
    const tree = undo.use(makeTree(...pfs));
    const rows = (row: object) => ({ rows: [row] });
    const ovs = {
      replica: async () => Promise.reject(new Unavailable('there is none')),
      transact: async () => [rows({ ovs_version: '3.1.0', other_config: ['map', Object.entries(otherConfig)] }), { rows: [] }],
    };
    const pools = join(tree.root, 'pools.yaml');
    const ask = answering({ hwTcOffload: new Map([['ens1f0np0', false]]) });
    const text = `kubeletDir: /k\nsocket: ${tree.root}/cni.sock\n${config}`;
    const patient = {
      host: { ...tree.host, ovsdb: () => ovs },
      settings: { ...parseSettings(text, 'f'), nodeName: 'n' },
      journal: { list: () => [], find: () => undefined, has: () => false, problems: () => [] },
      survey: () => survey({ host: tree.host, ask, kubeletDir: '/k', source: { file: pools } }),
      place: 'node',
      pools,
      cniBin: join(tree.root, 'bin'),
      refused: [],
    } as unknown as Patient;
    mkdirSync(patient.cniBin);
    return { tree, patient, examine: async (examination) => (await examination(patient)).map(words) };
  }

  function words({ level, topic, words: text, remedy = '' }: Finding): string {
    return `${level} ${topic}: ${text} -> ${remedy}`;
  }

  it('finds nothing wrong with a node that has no SR-IOV, and says what it serves', async () => {
    deepEqual(await node().examine(examineNics), ['ok SR-IOV: no NIC with SR-IOV: this node serves `normal` ports -> ']);
  });

  it('tells what keeps a NIC in switchdev mode from offloading', async () => {
    const { tree, examine } = node([mlx5(0, 3)]);
    tree.write('/sys/bus/pci/drivers/vfio-pci/bind', '');
    const [pf = '', tc = '', offload = '', vfio = '', iommu = ''] = await examine(examineNics);
    match(pf, /^ok PF ens1f0np0: 0000:3b:00\.0: 3 of \d+ VFs, in switchdev mode/);
    match(tc, /^warn PF ens1f0np0: hw-tc-offload is off.* -> ethtool -K ens1f0np0 hw-tc-offload on$/);
    match(offload, /^warn hw-offload: .* -> ovs-vsctl set Open_vSwitch \. other_config:hw-offload=true/);
    equal(vfio, 'ok vfio-pci: loaded -> ');
    equal(iommu, 'ok IOMMU: on, every VF is alone in its group -> ');
    match((await node([mlx5(0, 1)], '', { 'hw-offload': 'true' }).examine(examineNics)).join('\n'), /^ok hw-offload: /m);
  });

  it('says of a NIC in legacy mode that its VFs are no ports, and of one without VFs how to make some', async () => {
    const [pf = ''] = await node([igb({ vfs: 2 })]).examine(examineNics);
    match(
      pf,
      /^warn PF enp65s0: 0000:41:00\.0: 2 of \d+ VFs, legacy: .* -> .*devlink dev eswitch set pci\/0000:41:00\.0 mode switchdev/,
    );
    const [none = ''] = await node([igb({ vfs: 0 })]).examine(examineNics);
    match(none, /^ok PF enp65s0: 0000:41:00\.0: 0 of \d+ VFs; for some: echo N > .*sriov_numvfs/);
  });

  const byVfio = 'pools: [{ name: fast, vnicType: direct, selectors: [{ vendors: ["15b3"] }] }]';

  it('misses vfio-pci, the IOMMU and VFs that were put aside', async () => {
    const { tree, patient, examine } = node([mlx5(0, 1)]);
    writeFileSync(patient.pools, byVfio);
    tree.write('/var/lib/smartnic/quarantine/0000:3b:01.0', 'FLR timed out');
    tree.remove('/sys/bus/pci/devices/0000:3b:01.0/iommu_group');
    const found = await examine(examineNics);
    ok(
      found.includes(
        'fail vfio-pci: not loaded: no VF of pool fast can be given to user space -> modprobe vfio-pci, and write it into /etc/modules-load.d/',
      ),
      found.join('\n'),
    );
    match(found.join('\n'), /^fail IOMMU: off: VFs of pool fast are refused to user space -> .*intel_iommu=on/m);
    match(
      found.join('\n'),
      /^warn quarantine: VF 0000:3b:01\.0: FLR timed out -> unbind and bind its driver, then remove \/var\/lib\/smartnic\/quarantine\/0000:3b:01\.0/m,
    );
    const allowed = node([mlx5(0, 1)], 'allowNoiommu: true');
    allowed.tree.remove('/sys/bus/pci/devices/0000:3b:01.0/iommu_group');
    match((await allowed.examine(examineNics)).join('\n'), /^warn IOMMU: off, and allowed to be off/m);
  });

  it('needs neither vfio-pci nor an IOMMU where no pool in force offers a VF by it', async () => {
    const { tree, patient, examine } = node([mlx5(0, 1)]);
    tree.remove('/sys/bus/pci/devices/0000:3b:01.0/iommu_group');
    const levels = async () =>
      (await examine(examineNics)).filter((line) => /vfio-pci:|IOMMU:/.test(line)).map((line) => line.split(' -> ')[0]);
    const idle = [
      'ok vfio-pci: not loaded, and no pool in force offers a VF by it',
      'warn IOMMU: off: VFs would be refused to user space; no pool in force offers one by vfio-pci',
    ];
    deepEqual(await levels(), idle);
    writeFileSync(patient.pools, byVfio.replace('vnicType', 'driver: kernel, vnicType'));
    deepEqual(await levels(), idle);
    writeFileSync(patient.pools, byVfio);
    deepEqual(
      (await levels()).map((line = '') => line.split(' ')[0]),
      ['fail', 'fail'],
    );
  });

  it('fails on refused pools with their line, and says what is in force meanwhile', async () => {
    const { tree, patient, examine } = node([mlx5(0, 2)]);
    match((await examine(examinePools)).join(), /^fail pools: \S+pools\.yaml:1: the file is missing.* -> .*nothing is offered/);
    writeFileSync(patient.pools, byVfio);
    equal((await examine(examinePools)).join(), 'ok pools: 1; offered, healthy or not: smartnic.io/direct: 2 -> ');
    lastGoodPools(tree.host).write(patient.pools, byVfio);
    writeFileSync(patient.pools, 'pools:\n  - name: fast\n    vnicTyp: direct\n');
    const [line = '', ...rest] = await examine(examinePools);
    match(line, /^fail pools: pools\.yaml:\d: pools\.0\.vnicType: is missing/);
    match(
      rest[0] ?? '',
      /^fail pools: pools\.yaml:3: unknown key "vnicTyp".* -> correct the file, .*the last good one is in force, \/run\/smartnic\//,
    );
    match(rest.at(-1) ?? '', /^ok pools: 1 in force, the last good ones; offered, healthy or not: smartnic\.io\/direct: 2/);
  });

  it('finds nothing wrong with a plain node that has neither pools nor VFs', async () => {
    const { patient, examine } = node();
    match((await examine(examinePools)).join(), /^ok pools: there is no \S+pools\.yaml, and no VF either: nothing is offered/);
    match((await examinePools({ ...patient, place: 'device-plugin' })).map(words).join(), /^fail pools: .* the file is missing/);
  });

  it('looks only at what can be seen from where it runs', async () => {
    const { patient } = node();
    const topics = async (place: Patient['place']) => new Set((await examine({ ...patient, place })).map(({ topic }) => topic));
    deepEqual([...(await topics('device-plugin'))].toSorted(), ['SR-IOV', 'kubelet', 'pools']);
    const cni = await topics('cni');
    for (const topic of ['CNI server', 'IPAM', 'IPv6', 'attachments', 'configuration', 'journal', 'pools', 'SR-IOV'])
      ok(cni.has(topic), topic);
  });

  it('says whether IPv6 addresses can be given', async () => {
    const { tree, examine } = node();
    match((await examine(examineIpv6)).join(), /^warn IPv6: the kernel has none: networks that give IPv6 addresses fail/);
    tree.write('/proc/sys/net/ipv6/conf/all/disable_ipv6', '0');
    match((await examine(examineIpv6)).join(), /^ok IPv6: can be switched on in pods/);
  });

  it('misses what IPAM plugins need, of networks that are known and of plugins that are only installed', async () => {
    const { tree, patient, examine } = node();
    const put = (name: string) => writeFileSync(join(patient.cniBin, name), '', { mode: 0o755 });
    for (const name of ['host-local', 'dhcp', 'whereabouts']) put(name);
    const idle = await examine(examineIpam);
    match(
      idle[0] ?? '',
      /^warn IPAM: dhcp: its daemon does not answer on \/run\/cni\/dhcp\.sock \(ENOENT\): networks that name it fail -> start "dhcp daemon"/,
    );
    match(
      idle[1] ?? '',
      /^warn IPAM: whereabouts: its configuration \/etc\/cni\/net\.d\/whereabouts\.d\/whereabouts\.conf is not here/,
    );
    match(idle[2] ?? '', /^ok IPAM: host-local, dhcp, whereabouts in /);
    const networks = [
      { type: 'smartnic', bridge: 'b', ipam: { type: 'dhcp', daemonSocketPath: '/run/d.sock' } },
      { type: 'smartnic', bridge: 'b', ipam: { type: 'whereabouts', configuration_path: '/etc/w.conf' } },
      { type: 'smartnic', bridge: 'b', ipam: { type: 'nowhere' } },
      { type: 'bridge', ipam: { type: 'not-ours' } },
    ];
    tree.write('/etc/cni/net.d/10-a.conflist', JSON.stringify({ cniVersion: '1.0.0', name: 'tenants', plugins: networks }));
    tree.write('/etc/cni/net.d/20-b.conf', '{');
    const used = await examine(examineIpam);
    match(used[0] ?? '', /^fail IPAM: nowhere, which network tenants takes addresses from, is not in /);
    match(
      used[1] ?? '',
      /^fail IPAM: dhcp: its daemon does not answer on \/run\/d\.sock \(ENOENT\); network tenants takes addresses from it/,
    );
    match(used[2] ?? '', /^fail IPAM: whereabouts: its configuration \/etc\/w\.conf is not here; network tenants/);
    equal(used.length, 3);
    put('nowhere');
    tree.write('/etc/w.conf', '{}');
    mkdirSync(join(tree.root, 'run'), { recursive: true });
    const daemon = createServer((socket) => socket.destroy()).listen(join(tree.root, 'run/d.sock'));
    await new Promise((resolve) => daemon.once('listening', resolve));
    match((await examine(examineIpam)).join(), /^ok IPAM: host-local, dhcp, whereabouts, nowhere in \S+ -> $/);
    daemon.close();
  });

  it('says of VFs that can not be reset, and of interrupts that are not remapped, what that means', async () => {
    const { tree, examine } = node([mlx5(0, 1)]);
    const unsafe = '/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts';
    tree.write(unsafe, 'Y');
    const found = (await examine(examineNics)).join('\n');
    match(found, /^warn IOMMU: allow_unsafe_interrupts is on: a pod with a VF can raise interrupts of the whole machine/m);
    match(found, /^warn reset: VFs 0000:3b:01\.0 can't be reset/m);
    tree.write(unsafe, 'N');
    tree.write('/sys/bus/pci/devices/0000:3b:01.0/reset', '');
    equal(/allow_unsafe|can't be reset/.test((await examine(examineNics)).join('\n')), false);
  });

  it('says of a refused configuration what is wrong and what is in force', async () => {
    const { patient, examine } = node();
    const [ok, ...more] = await examine(examineConfiguration);
    deepEqual(ok, 'ok configuration: can be read -> ');
    match(more.join('\n'), /^warn configuration: has no bounds on networks: .* -> where tenants may write .*"bounds"/);
    const bounded = node([], 'bounds: [{ namespaces: ["*"], bridges: [br0] }]');
    match((await bounded.examine(examineConfiguration)).join('\n'), /^ok configuration: has 1 rules? that bounds? networks/m);
    const refused = ['/etc/smartnic/config.yaml:3: portTimeout: "10s" is not a number'];
    match(
      (await examineConfiguration({ ...patient, refused })).map(words).join(),
      /^fail configuration: \S+config\.yaml:3: portTimeout: "10s" is not a number -> correct it .*the last good one is in force/,
    );
  });

  it('asks whether the server, the executable and IPAM plugins are there', async () => {
    const { patient, examine } = node();
    const { cniBin, settings } = patient;
    match((await examine(examineServer)).join(), /^fail CNI server: does not answer on .*cni\.sock: .*ENOENT/);
    const server = createServer((socket) => socket.destroy()).listen(settings.socket);
    await new Promise((resolve) => server.once('listening', resolve));
    match((await examine(examineServer)).join(), /^ok CNI server/);
    server.close();
    match((await examine(examineExecutable)).join(), /^fail executable: .*bin\/smartnic is not there/);
    writeFileSync(join(cniBin, 'smartnic'), 'one');
    match((await examine(examineExecutable)).join(), /^fail executable: .* is not executable -> chmod 755/);
    chmodSync(join(cniBin, 'smartnic'), 0o755);
    match((await examine(examineExecutable)).join(), /^ok executable/);
    const ours = join(cniBin, 'ours');
    writeFileSync(ours, 'two');
    match(
      (await examineExecutable({ ...patient, ours })).map(words).join(),
      /^warn executable: .* is of another version than this/,
    );
    match((await examine(examineIpam)).join(), /^warn IPAM: no IPAM plugin in/);
    writeFileSync(join(cniBin, 'host-local'), '', { mode: 0o755 });
    match((await examine(examineIpam)).join(), /^ok IPAM: host-local in/);
    const entry = { attachment: { network: 'tenant-a', ipam: { type: 'whereabouts' } } };
    const journal = { list: () => [entry], find: () => undefined } as unknown as Patient['journal'];
    match(
      (await examineIpam({ ...patient, journal })).map(words).join(),
      /^fail IPAM: whereabouts, which network tenant-a takes addresses from, is not in/,
    );
  });

  it("asks for kubelet's sockets, and kubelet itself", async () => {
    const { tree, examine } = node();
    match(
      (await examine(examineKubelet)).join(),
      /^warn kubelet: \/k\/pod-resources\/kubelet\.sock and \/k\/device-plugins\/kubelet\.sock missing/,
    );
    const kubelet = new FakeKubelet({ directory: join(tree.root, 'k') });
    await kubelet.start();
    kubelet.addPod('default/p');
    match((await examine(examineKubelet)).join(), /^ok kubelet: tells which pod has which device \(1 pods\)/);
    kubelet.stop();
  });

  it('says whether annotations are read, and why not', async () => {
    match((await node([], 'kubernetes: { disabled: true }').examine(examineApiServer)).join(), /^ok API server: not asked/);
    match((await node().examine(examineApiServer)).join(), /^warn API server: none is configured/);
    match(
      (await node([], 'kubernetes: { kubeconfig: /nowhere }').examine(examineApiServer)).join(),
      /^fail API server: .*\/nowhere can't be used/,
    );
  });

  it('looks for the forwarder only where one is configured, and for its hugepages', async () => {
    match((await node().examine(examineForwarder)).join(), /^ok forwarder: none is configured/);
    const { tree, examine } = node([], 'forwarder: { kind: testpmd, directory: /nowhere, memory: 256 }');
    const [away = '', none = ''] = await examine(examineForwarder);
    match(
      away,
      /^fail forwarder testpmd: the forwarder's supervisor did not answer on \/nowhere\/supervisor\.sock.* -> start smartnic-forwarder/,
    );
    match(none, /^fail hugepages: there are none, .*"hugepages: false"/);
    for (const [file, text] of [
      ['nr_hugepages', '512'],
      ['free_hugepages', '100'],
    ] as const)
      tree.write(`/sys/kernel/mm/hugepages/hugepages-2048kB/${file}`, text);
    match((await examine(examineForwarder))[1] ?? '', /^warn hugepages: 200 of 1024 MiB are free, a further relay takes 256/);
    tree.write('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', '512');
    match((await examine(examineForwarder))[1] ?? '', /^ok hugepages: 1024 of 1024 MiB are free/);
    rmSync(join(tree.root, 'sys/kernel/mm'), { recursive: true });
    const small = node([], 'forwarder: { kind: testpmd, directory: /nowhere, hugepages: false }');
    equal((await small.examine(examineForwarder)).length, 1);
  });

  it('warns of VFs whose addresses have letters, which virtio-forwarder may not find', async () => {
    const xvio = 'forwarder: { kind: xvio, stats: ipc:///nowhere/stats }';
    match(
      (await node([mlx5(0, 4)], xvio).examine(examineForwarder)).at(-1) ?? '',
      /^warn addresses: VFs with letters in their addresses \(0000:3b:01\.0, 0000:3b:01\.1, 0000:3b:01\.2 and 1 more\) may not be relayed -> .*%04x/,
    );
    equal((await node([igb({ vfs: 2 })], xvio).examine(examineForwarder)).length, 2);
  });

  it('warns of sockets whose directory follows symbolic links', async () => {
    const { tree, examine } = node([], 'forwarder: { kind: xvio, stats: ipc:///nowhere/stats }');
    const sockets = async () => (await examine(examineForwarder))[1] ?? '';
    match(
      await sockets(),
      /^warn sockets: symbolic links in \/run\/smartnic\/vhost are followed: .* -> mount a tmpfs there .*nosymfollow/,
    );
    const mounts = [
      '31 1 0:26 / /run rw,nosuid,nodev - tmpfs tmpfs rw',
      '100 31 0:46 / /run/smartnic/vhost rw,relatime - tmpfs tmpfs rw,mode=755',
    ];
    tree.write('/proc/self/mountinfo', `${mounts.join('\n')}\n`);
    match(await sockets(), /^warn sockets: /);
    tree.write('/proc/self/mountinfo', `${mounts.join('\n').replace('relatime', 'relatime,nosymfollow')}\n`);
    equal(await sockets(), 'ok sockets: symbolic links in /run/smartnic/vhost lead nowhere -> ');
  });

  it('goes on when one examination breaks', async () => {
    const { patient } = node();
    const survey = async () => Promise.reject(new Error('no memory'));
    const found = (await examine({ ...patient, place: 'device-plugin', survey })).map(words);
    equal(found.filter((line) => /^fail doctor: an examination broke off: no memory -> /.test(line)).length, 2);
    ok(
      found.some((line) => /^warn kubelet: /.test(line)),
      found.join(),
    );
  });

  it('prints a line per finding, what to do below it, and counts them', () => {
    const findings: readonly Finding[] = [
      { level: 'ok', topic: 'kubelet', words: 'is there' },
      { level: 'fail', topic: 'IOMMU', words: 'off', remedy: 'switch it on' },
    ];
    deepEqual(render(findings).split('\n'), [
      'ok    kubelet  is there',
      'FAIL  IOMMU    off',
      '      -> switch it on',
      '',
      '1 failed, 0 warnings, 1 ok',
      '',
    ]);
    deepEqual(
      [hasFailed(findings), hasFailed(findings.slice(0, 1)), hasFailed(badConfiguration(new Error('no')))],
      [true, false, true],
    );
  });
});
