// What the doctor says about nodes that lack something. The nodes are trees of sysfs, directories, and sockets that exist or not. Open vSwitch is
// a stand-in that answers two questions; test/machine/operator.test.ts has the real one.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseSettings } from '../../../cni/attachment/settings.ts';
import { badConfiguration, examineConfiguration } from '../../../operator/doctor/configuration.ts';
import { hasFailed, render } from '../../../operator/doctor/doctor.ts';
import type { Examination, Finding, Patient } from '../../../operator/doctor/finding.ts';
import { examineForwarder } from '../../../operator/doctor/forwarder.ts';
import { examineNics } from '../../../operator/doctor/nics.ts';
import {
  examineApiServer,
  examineExecutable,
  examineIpam,
  examineKubelet,
  examineServer,
} from '../../../operator/doctor/runtime.ts';
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
      transact: async () => [rows({ ovs_version: '3.1.0', other_config: ['map', Object.entries(otherConfig)] }), { rows: [] }],
    };
    const text = `kubeletDir: /k\nsocket: ${tree.root}/cni.sock\n${config}`;
    const patient = {
      host: { ...tree.host, ovsdb: () => ovs },
      settings: { ...parseSettings(text, 'f'), nodeName: 'n' },
      journal: { list: () => [], find: () => undefined, has: () => false, problems: () => [] },
      ask: answering({ hwTcOffload: new Map([['ens1f0np0', false]]) }),
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

  it('misses vfio-pci, the IOMMU and VFs that were put aside', async () => {
    const { tree, examine } = node([mlx5(0, 1)]);
    tree.write('/var/lib/smartnic/quarantine/0000:3b:01.0', 'FLR timed out');
    tree.remove('/sys/bus/pci/devices/0000:3b:01.0/iommu_group');
    const found = await examine(examineNics);
    ok(
      found.includes(
        'fail vfio-pci: not loaded: no VF can be given to user space -> modprobe vfio-pci, and write it into /etc/modules-load.d/',
      ),
      found.join('\n'),
    );
    match(found.join('\n'), /^fail IOMMU: off: VFs are refused to user space -> .*intel_iommu=on/m);
    match(
      found.join('\n'),
      /^warn quarantine: VF 0000:3b:01\.0: FLR timed out -> unbind and bind its driver, then remove \/var\/lib\/smartnic\/quarantine\/0000:3b:01\.0/m,
    );
    const allowed = node([mlx5(0, 1)], 'allowNoiommu: true');
    allowed.tree.remove('/sys/bus/pci/devices/0000:3b:01.0/iommu_group');
    match((await allowed.examine(examineNics)).join('\n'), /^warn IOMMU: off, and allowed to be off/m);
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
    const entry = { attachment: { ipam: { type: 'whereabouts' } } };
    const journal = { list: () => [entry], find: () => undefined } as unknown as Patient['journal'];
    match(
      (await examineIpam({ ...patient, journal })).map(words).join(),
      /^fail IPAM: whereabouts, which attachments have their addresses from/,
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
