// The whole device plugin on a tree and a fake kubelet: kubelet hears of each change of the machine.
import { deepEqual, equal, match, ok, rejects } from 'node:assert/strict';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { livenessProblems, readinessProblems } from '../../../device-plugin/readiness.ts';
import { igb, mlx5 } from '../../support/nic-trees.ts';
import { type PluginMachine, startMachine } from '../../support/plugin-machine.ts';
import { needsRoot } from '../../support/root.ts';
import { until } from '../../support/until.ts';

const pf = igb({ vfs: 4 });
const vfs = pf.vfs ?? [];
const both = 'pools: [{ name: a, vnicType: [direct, virtio-forwarder], selectors: [{ vendors: ["8086"] }] }]';
const direct = 'smartnic.io/direct';
const virtio = 'smartnic.io/virtio-forwarder';
const infoDir = 'var/run/k8s.cni.cncf.io/devinfo/dp';

describe('the device plugin', () => {
  let machine: PluginMachine;

  async function start(...args: Parameters<typeof startMachine>): Promise<void> {
    machine = await startMachine(...args);
  }

  afterEach(async () => {
    await machine.stop();
    deepEqual(machine.kubelet.violations, []);
  });

  function inTree(path: string): string {
    return join(machine.tree.root, path);
  }

  it('tells kubelet of vfs removed, added, rebound and taken by the host within a second of the event', async () => {
    await start([pf], both.replace('vendors: ["8086"]', 'drivers: [igbvf]'));
    const { kubelet, tree } = machine;
    await kubelet.untilOffered(direct, 4);
    const [first, second, third] = vfs;
    if (first === undefined || second === undefined || third === undefined) throw new Error('the tree has four vfs');
    const changes: readonly (readonly [() => void, number])[] = [
      [() => tree.removeVf(pf, first), 3],
      [() => tree.bind(second, 'vfio-pci'), 2],
      [() => tree.link('/sys/class/net/enp65s0v2/upper_vlan7', '../vlan7'), 1],
      [() => tree.remove('/sys/class/net/enp65s0v2/upper_vlan7'), 2],
      [() => tree.bind(second, 'igbvf'), 3],
      [() => tree.addVf(pf, first), 4],
    ];
    for (const [change, count] of changes) {
      change();
      const begin = performance.now();
      machine.ring();
      await kubelet.untilOffered(direct, count);
      await kubelet.untilOffered(virtio, count);
      ok(performance.now() - begin < 1000);
    }
  });

  it('does not make kubelet write its checkpoint all the time for a vf that flaps', async () => {
    await start([pf], both.replace('[direct, virtio-forwarder]', 'direct'));
    const { kubelet, tree } = machine;
    await kubelet.untilOffered(direct, 4);
    const [first] = vfs;
    if (first === undefined) throw new Error('the tree has four vfs');
    const before = kubelet.messages;
    for (let time = 0; time < 30; time++) {
      tree.removeVf(pf, first);
      machine.ring();
      await sleep(50);
      tree.addVf(pf, first);
      machine.ring();
      await sleep(50);
    }
    ok(kubelet.messages - before <= 5, `${kubelet.messages - before} lists within 3 s`);
    await kubelet.untilOffered(direct, 4, 3);
    deepEqual(
      machine.plugin.status.findings.map(({ reason }) => reason),
      ['flapping'],
    );
  });

  it('keeps the resource of a pf that goes away, with nothing in it', async () => {
    await start([pf], both);
    await machine.kubelet.untilOffered(direct, 4);
    machine.tree.removePf(pf);
    machine.ring();
    await machine.kubelet.untilOffered(direct, 0);
    equal(machine.kubelet.sockets(direct).length, 1);
  });

  it('makes a vf that one name took unhealthy under the other, and free again when the pod has gone', async () => {
    await start([pf], both);
    const { kubelet } = machine;
    await kubelet.untilOffered(direct, 4);
    await kubelet.untilOffered(virtio, 4);
    await kubelet.admit({ name: 'p', containers: { c: { [direct]: 1 } } });
    await kubelet.untilOffered(virtio, 4, 3);
    kubelet.remove('p');
    await kubelet.untilOffered(virtio, 4, 4);
  });

  it('keeps a vf that a pod has, through its rebinding to vfio-pci and a restart of the plugin', async () => {
    await start([pf], both.replace('vendors: ["8086"]', 'drivers: [igbvf]'));
    const { kubelet, tree } = machine;
    await kubelet.untilOffered(direct, 4);
    const [given] = await kubelet.admit({ name: 'p', containers: { c: { [direct]: 1 } } });
    const taken = vfs.find((vf) => vf.address === given?.ids[0]);
    if (taken === undefined) throw new Error(`kubelet gave ${given?.ids}, which is no vf of the tree`);
    tree.bind(taken, 'vfio-pci');
    machine.facts = { vfioHolders: new Map([[`/dev/vfio/${taken.iommuGroup}`, ['qemu (pid 7)']]]) };
    machine.ring();
    await machine.plugin.look();
    await machine.restart();
    await kubelet.untilOffered(direct, 4);
    await kubelet.admit({ name: 'p', containers: { c: { [direct]: 1 } } }); // its container starts again
    kubelet.remove('p');
    await kubelet.untilOffered(direct, 3); // now it is only a VF that qemu has open
  });

  it('does not call a vf unhealthy that a pod has and that goes away for a moment', async () => {
    await start([pf], both);
    const { kubelet, tree } = machine;
    await kubelet.untilOffered(direct, 4);
    const [given] = await kubelet.admit({ name: 'p', containers: { c: { [direct]: 1 } } });
    const taken = vfs.find((vf) => vf.address === given?.ids[0]);
    if (taken === undefined) throw new Error('kubelet gave no vf of the tree');
    tree.removeVf(pf, taken);
    await machine.plugin.look();
    await sleep(50);
    equal(kubelet.allocatable(direct), 4);
    await kubelet.admit({ name: 'p', containers: { c: { [direct]: 1 } } });
    deepEqual(
      machine.plugin.status.findings.map(({ reason, told }) => [reason, told]),
      [['vf-gone', false]],
    );
    tree.addVf(pf, taken);
    await machine.plugin.look();
    deepEqual(machine.plugin.status.findings, []);
  });

  it('makes every file and directory but those that can not be made, and says which', async function () {
    needsRoot.call(this, 'to make socket directories that are its own');
    await start([pf], both);
    const { tree } = machine;
    const [first, second] = vfs.map(({ address }) => address);
    const info = (address = '') => `${infoDir}/smartnic.io-direct-${address}-device.json`;
    for (const path of [`run/smartnic/vhost/${first}`, info(second)]) rmSync(inTree(path), { recursive: true });
    tree.write(`/run/smartnic/vhost/${first}`, 'in the way');
    tree.write(`/${info(second)}/in-the-way`, '');
    for (const { address } of vfs.slice(2)) rmSync(inTree(`run/smartnic/vhost/${address}`), { recursive: true });
    await machine.restart();
    const problems = readinessProblems(machine.plugin.status).join('\n');
    match(problems, /cannot make .*vhost\/0000:41:10\.0 .*EEXIST/);
    match(problems, /cannot keep the files in .* up to date: .*0000:41:10\.2-device\.json/);
    for (const { address } of vfs.slice(2)) ok(existsSync(inTree(`run/smartnic/vhost/${address}`)));
    await machine.kubelet.untilOffered(direct, 4);
  });

  it('asks to be started anew when a directory that is mounted into its container was removed and made anew', async () => {
    // A descriptor plays the mount here: it leads to the same directory, even if the name is gone.
    const fds: number[] = [];
    const mount = (name: string) => {
      fds.push(openSync(inTree(`k/${name}`), 'r'));
      machine.tree.link(`/mnt/${name}`, `/proc/self/fd/${fds.at(-1)}`);
    };
    const options = { kubeletDir: '/mnt', registration: 'register', timing: { reconcile: 50, grace: 0, tick: 100 } } as const;
    await start([pf], both, { kubelet: options });
    const { kubelet, tree } = machine;
    tree.link('/mnt/pod-resources', '../k/pod-resources');
    mount('device-plugins');
    await machine.restart();
    await kubelet.untilOffered(direct, 4);
    deepEqual(livenessProblems(machine.plugin.status, performance.now()), []);
    tree.remove('/k/device-plugins');
    mkdirSync(inTree('k/device-plugins'));
    await kubelet.restart();
    match(
      livenessProblems(machine.plugin.status, performance.now()).join(),
      /^\/mnt\/device-plugins was removed on the node and made anew; our container sees the old one until it is started again$/,
    );
    match(readinessProblems(machine.plugin.status).join(), /\/mnt\/device-plugins was removed on the node/);
    mount('device-plugins');
    await machine.restart();
    await kubelet.untilOffered(direct, 4);
    deepEqual(livenessProblems(machine.plugin.status, performance.now()), []);
    for (const fd of fds) closeSync(fd);
  });

  describe('when something of the machine can not be read', () => {
    const [first, second, third] = vfs;
    const address = (vf: typeof first) => vf?.address ?? '';

    /** Kubelet has just these free and healthy, and so after a restart of the plugin; probes and log say why. */
    async function offeredBut(bad: readonly (typeof first)[], capacity: number, words: RegExp): Promise<void> {
      const { kubelet } = machine;
      for (const again of [false, true]) {
        if (again) await machine.restart();
        else await machine.plugin.look();
        await kubelet.untilOffered(direct, capacity, capacity - bad.length);
        for (const vf of bad) ok(!kubelet.healthy(direct).includes(address(vf)));
        match(readinessProblems(machine.plugin.status).join('\n'), words);
        deepEqual(livenessProblems(machine.plugin.status, performance.now()), []);
      }
    }

    it('a marker that is a directory keeps that vf back, and a vf that goes is withdrawn all the same', async () => {
      await start([pf], both);
      const { kubelet, tree } = machine;
      await kubelet.untilOffered(direct, 4);
      tree.write(`/var/lib/smartnic/quarantine/${address(second)}/x`, '');
      if (first !== undefined) tree.removeVf(pf, first);
      await offeredBut([second], 3, /cannot read .*quarantine\/0000:41:10\.2: EISDIR; what depends on it is unhealthy/);
      match(
        machine.plugin.status.resources[0]?.units[0]?.problems[0] ?? '',
        /^quarantined: .*its marker can't be read: .*EISDIR/,
      );
      tree.remove(`/var/lib/smartnic/quarantine/${address(second)}`);
      await machine.plugin.look();
      await kubelet.untilOffered(direct, 3);
      deepEqual(readinessProblems(machine.plugin.status), []);
    });

    it("a forwarder's marker that is a directory keeps back what needs the forwarder", async () => {
      await start([pf], both);
      await machine.kubelet.untilOffered(virtio, 4);
      machine.tree.write('/var/lib/smartnic/quarantine/forwarder/x', '');
      await offeredBut([], 4, /cannot read .*quarantine\/forwarder: EISDIR/);
      await machine.kubelet.untilOffered(virtio, 4, 0);
    });

    it('a count of vfs that is no number keeps nothing back', async () => {
      await start([pf], both);
      machine.tree.write(`/sys/bus/pci/devices/${pf.address}/sriov_totalvfs`, 'many');
      await offeredBut([], 4, /sriov_totalvfs holds "many" where a number was expected/);
    });

    it('a vf stays as it was, unhealthy, until it goes or can be read; one that a pod has stays healthy', async () => {
      await start([pf, mlx5(0, 2)], both.replace('["8086"]', '["8086", "15b3"]'));
      const { kubelet, tree } = machine;
      await kubelet.untilOffered(direct, 6);
      kubelet.give('p', direct, address(second));
      await kubelet.untilOffered(virtio, 6, 5);
      for (const vf of [first, second, third]) tree.write(`/sys/bus/pci/devices/${address(vf)}/numa_node`, 'nowhere');
      await machine.plugin.look();
      await kubelet.untilOffered(direct, 6, 4);
      ok(kubelet.healthy(direct).includes(address(second)));
      match(readinessProblems(machine.plugin.status).join(), /numa_node holds "nowhere"/);
      match(machine.plugin.status.resources[0]?.units[3]?.problems.join() ?? '', /^$/);
      match(machine.plugin.status.findings.map(({ words }) => words).join(), /0000:41:10\.0\/numa_node holds "nowhere"/);
      if (third !== undefined) tree.removeVf(pf, third);
      tree.write(`/sys/bus/pci/devices/${address(first)}/numa_node`, '-1');
      await machine.plugin.look();
      await kubelet.untilOffered(direct, 5);
    });

    it('a pf keeps its vfs as they were, unhealthy, and those of others are offered', async () => {
      await start([pf, mlx5(0, 2)], both.replace('["8086"]', '["8086", "15b3"]'));
      const { kubelet, tree } = machine;
      await kubelet.untilOffered(direct, 6);
      tree.remove(`/sys/bus/pci/devices/${pf.address}/uevent`);
      tree.write(`/sys/bus/pci/devices/${pf.address}/uevent/x`, '');
      await machine.plugin.look();
      await kubelet.untilOffered(direct, 6, 2);
      match(readinessProblems(machine.plugin.status).join(), /cannot read .*0000:41:00\.0\/uevent: EISDIR/);
      await machine.restart(); // of what was never seen nothing can be offered
      await kubelet.untilOffered(direct, 2);
    });

    it('what the kernel does not answer about one vf keeps that one back', async () => {
      await start([pf], both);
      machine.facts = {
        unread: [{ address: address(third), words: 'list routes by link 5: EIO' }, { words: 'list devlink ports: EIO' }],
      };
      await offeredBut([third], 4, /list routes by link 5: EIO.*\n.*list devlink ports: EIO/);
    });

    it('is not ready while the whole look fails, and gives out what it knew', async () => {
      await start([pf], both);
      await machine.kubelet.untilOffered(direct, 4);
      machine.tree.remove('/sys/bus/pci/devices');
      machine.tree.link('/sys/bus/pci/devices', 'devices'); // ELOOP
      await machine.plugin.look();
      match(readinessProblems(machine.plugin.status).join(), /the machine could not be looked at: cannot list .*devices: ELOOP/);
      equal(machine.kubelet.allocatable(direct), 4);
    });
  });

  describe('when a pod has given a vf back', () => {
    const marker = (address: string) => machine.tree.write(`/var/lib/smartnic/quarantine/${address}`, 'not reset: FLR timed out');

    /** Starts with the real grace, which protects the other names only, and gives a pod one VF. */
    async function startHeld(text: string, reconcile = 50): Promise<string> {
      await start([pf], text, { kubelet: { kubeletDir: '/k', timing: { reconcile, grace: 30_000 } } });
      await machine.kubelet.untilOffered(direct, 4);
      const [given] = await machine.kubelet.admit({ name: 'p', containers: { c: { [direct]: 1 } } });
      await sleep(200); // it is listed
      return given?.ids[0] ?? '';
    }

    it('tells of its quarantine as soon as kubelet lists the vf no longer', async () => {
      const address = await startHeld(both);
      marker(address);
      await machine.plugin.look();
      equal(machine.kubelet.allocatable(direct), 4);
      machine.kubelet.remove('p');
      await machine.kubelet.untilOffered(direct, 4, 3, 2000);
      ok(!machine.kubelet.healthy(direct).includes(address));
      const [next] = await machine.kubelet.admit({ name: 'q', containers: { c: { [direct]: 1 } } });
      ok(!next?.ids.includes(address));
    });

    it('holds it back from the other name until the grace is over', async () => {
      const address = await startHeld(both);
      machine.kubelet.remove('p');
      await sleep(500);
      equal(machine.kubelet.allocatable(direct), 4);
      ok(!machine.kubelet.healthy(virtio).includes(address));
    });

    it('notices that the host uses it, also after a restart of the plugin', async () => {
      const address = await startHeld(both);
      await machine.restart();
      await machine.kubelet.untilOffered(direct, 4);
      machine.facts = { addresses: new Map([['enp65s0v0', ['192.0.2.5/24']]]) };
      await machine.plugin.look();
      equal(machine.kubelet.capacity(direct), 4);
      machine.kubelet.remove('p');
      await machine.kubelet.untilOffered(direct, 3, 3, 2000);
      ok(!machine.kubelet.healthy(direct).includes(address));
    });

    it('refuses it, with the reason, to a pod that kubelet gives it to before we have heard of its return', async () => {
      const address = await startHeld(both, 60_000);
      marker(address);
      await machine.plugin.look();
      machine.kubelet.remove('p');
      await rejects(
        machine.kubelet.admit({ name: 'q', containers: { c: { [direct]: 4 } } }),
        /0000:41:10\.0 of smartnic\.io\/direct is unhealthy: quarantined: not reset: FLR timed out/,
      );
      const [next] = await machine.kubelet.admit({ name: 'r', containers: { c: { [direct]: 1 } } }); // it is advised another one
      ok(!next?.ids.includes(address));
    });
  });

  it('takes over a changed configuration, keeps the last good one through a broken and a missing one, and says so', async function () {
    needsRoot.call(this, 'to make socket directories that are its own');
    await start([pf], both);
    const { kubelet } = machine;
    await kubelet.untilOffered(direct, 4);
    const narrow = both.replace('vendors: ["8086"]', 'pfNames: ["enp65s0#0-1"]');
    machine.configure(narrow);
    await kubelet.untilOffered(direct, 2);
    machine.configure('pools: [{ name: a }]');
    await kubelet.until('the mistake is known', () => machine.plugin.status.config.problems.length > 0);
    match(machine.plugin.status.config.problems.join('\n'), /^pools\.yaml:1: pools\.0\.vnicType: is missing/);
    equal(kubelet.allocatable(direct), 2);
    rmSync(inTree('etc/pools.yaml'));
    await kubelet.until('the loss is known', () => /is missing; create it/.test(machine.plugin.status.config.problems.join()));
    equal(kubelet.allocatable(direct), 2);
    machine.configure(both.replace('[direct, virtio-forwarder]', 'direct'));
    await kubelet.untilOffered(direct, 4);
    await kubelet.until(
      'the other resource is withdrawn',
      () => kubelet.capacity(virtio) === 0 && kubelet.sockets(virtio).length === 0,
    );
    equal(machine.plugin.status.config.generation, 3);
  });

  it('refuses a configuration whose pools overlap on this very machine, naming vf and lines', async () => {
    await start([pf], both);
    await machine.kubelet.untilOffered(direct, 4);
    machine.configure(`pools:
  - { name: a, vnicType: direct, selectors: [{ drivers: [igbvf] }] }
  - { name: b, vnicType: virtio-forwarder, selectors: [{ pfNames: ["enp65s0#3"] }] }`);
    await machine.kubelet.until('the overlap is known', () => machine.plugin.status.config.problems.length > 0);
    match(
      machine.plugin.status.config.problems.join(),
      /VF 0000:41:10\.6 \(vf 3 of enp65s0\) fits pool a \(line 2\) and b \(line 3\)/,
    );
    equal(machine.kubelet.allocatable(direct), 4);
  });

  it('is driven by no configuration at all until there is one', async () => {
    await start([pf]);
    match(machine.plugin.status.config.problems.join(), /the file is missing/);
    machine.configure(both);
    await machine.kubelet.untilOffered(direct, 4);
  });

  it('keeps allocating while the configuration is changed, broken and mended under load', async () => {
    await start([mlx5(0, 8), mlx5(1, 8)], config(''));
    const { kubelet } = machine;
    await kubelet.untilOffered(direct, 16);
    let ended = false;
    const reconfigure = (async () => {
      for (let turn = 0; !ended; turn += 1) {
        machine.configure([config(''), 'pools: [', config(', allocation: spread'), config(', nonsense: 1')][turn % 4] ?? '');
        await sleep(30);
      }
    })();
    const pods = Array.from({ length: 100 }, (_, at) => `p${at}`);
    for (const name of pods) {
      const [given] = await kubelet.admit({ name, containers: { c: { [direct]: 2 } } });
      equal(given?.ids.length, 2);
      kubelet.remove(name);
      await sleep(5);
    }
    await until(async () => machine.plugin.status.config.generation > 2, 'a third configuration is in force');
    ended = true;
    await reconfigure;

    function config(more: string): string {
      return `pools: [{ name: a, vnicType: direct, selectors: [{ vendors: ["15b3"] }]${more} }]`;
    }
  });

  it('tells NUMA nodes and health as the pool asks', async () => {
    const text =
      'pools: [{ name: a, vnicType: direct, bridge: br-int, selectors: [{ vendors: ["15b3"] }], numaPolicy: required }]';
    await start([mlx5(0, 2)], text);
    const { kubelet, tree } = machine;
    await kubelet.untilOffered(direct, 2, 0);
    deepEqual(kubelet.numaNodes(direct, '0000:3b:01.0'), [1]);
    tree.write('/sys/class/net/br-int/type', '1');
    machine.ring();
    await kubelet.untilOffered(direct, 2, 2);
    tree.write('/var/lib/smartnic/quarantine/0000:3b:01.1', 'FLR timed out');
    machine.ring();
    await kubelet.untilOffered(direct, 2, 1);
    match(machine.plugin.status.resources[0]?.units[1]?.problems[0] ?? '', /^quarantined: FLR timed out/);
    tree.remove('/var/lib/smartnic/quarantine/0000:3b:01.1');
    machine.ring();
    await kubelet.untilOffered(direct, 2, 2);
  });

  it("holds virtio-forwarder units back while the CNI server says that the node's forwarder does not serve", async () => {
    await start([pf], both);
    const { tree, kubelet } = machine;
    await kubelet.untilOffered(virtio, 4);
    tree.write('/var/lib/smartnic/quarantine/forwarder', 'relay of 0000:3b:01.1: down');
    machine.ring();
    await kubelet.untilOffered(virtio, 4, 0);
    await kubelet.untilOffered(direct, 4, 4);
    tree.remove('/var/lib/smartnic/quarantine/forwarder');
    machine.ring();
    await kubelet.untilOffered(virtio, 4);
  });

  it('holds virtio-forwarder units back while nobody answers on the forwarder socket', async () => {
    await start([pf], both.replace('name: a,', 'name: a, forwarder: /fwd,'));
    const { kubelet } = machine;
    await kubelet.untilOffered(virtio, 4, 0);
    await kubelet.untilOffered(direct, 4, 4);
    const forwarder = createServer().listen(inTree('fwd'));
    try {
      machine.ring();
      await kubelet.untilOffered(virtio, 4, 4);
    } finally {
      forwarder.close();
    }
    machine.ring();
    await kubelet.untilOffered(virtio, 4, 0);
  });

  it("writes device-info at the scan, restores it at the start, removes it when the vf goes, and leaves strangers' files alone", async () => {
    await start([mlx5(0, 1)], both.replace('8086', '15b3'));
    const { tree } = machine;
    const address = '0000:3b:01.0';
    const name = `smartnic.io-direct-${address}-device.json`;
    const read = (file: string) => JSON.parse(readFileSync(inTree(`${infoDir}/${file}`), 'utf8'));
    deepEqual(read(name), {
      type: 'pci',
      version: '1.1.0',
      pci: { 'pci-address': address, 'pf-pci-address': '0000:3b:00.0', 'representor-device': 'rep0x9' },
    });
    deepEqual(read(`smartnic.io-virtio-forwarder-${address}-device.json`), {
      type: 'vhost-user',
      version: '1.1.0',
      'vhost-user': { mode: 'server', path: `/var/run/smartnic/${address}/vhost.sock` },
    });
    const stranger = 'intel.com-x-0000:01:00.0-device.json';
    writeFileSync(inTree(`${infoDir}/${stranger}`), '{}');
    rmSync(inTree(`${infoDir}/${name}`));
    await machine.restart();
    equal(read(name).type, 'pci');
    const [vf] = mlx5(0, 1).vfs ?? [];
    if (vf !== undefined) tree.removeVf(mlx5(0, 1), vf);
    await machine.restart(); // it was removed while nobody looked
    deepEqual(
      readdirSync(inTree(infoDir)).filter((file) => !file.startsWith('.')),
      [stranger],
    );
  });

  it('makes the directories of vhost-user sockets with mode and owner, and removes an empty one with its vf', async function () {
    needsRoot.call(this, 'to give directories another owner');
    await start([pf], both.replace('name: a,', 'name: a, vhost: { mode: "0750", uid: 4242, gid: 77 },'));
    const [first, second] = vfs;
    if (first === undefined || second === undefined) throw new Error('the tree has four vfs');
    const directory = (address: string) => inTree(`run/smartnic/vhost/${address}`);
    const { mode, uid, gid } = statSync(directory(first.address));
    deepEqual([mode & 0o777, uid, gid], [0o750, 4242, 77]);
    writeFileSync(join(directory(second.address), 'vhost.sock'), '');
    machine.tree.removeVf(pf, first);
    machine.tree.removeVf(pf, second);
    await machine.plugin.look();
    deepEqual([existsSync(directory(first.address)), existsSync(directory(second.address))], [false, true]);
  });

  it('has the CDI spec on disk before it names CDI devices', async () => {
    await start([pf], 'pools: [{ name: a, vnicType: direct, cdi: true, selectors: [{ vendors: ["8086"] }] }]');
    const { kubelet } = machine;
    await kubelet.untilOffered(direct, 4);
    const [given] = await kubelet.admit({ name: 'p', containers: { c: { [direct]: 1 } } });
    const spec = JSON.parse(readFileSync(inTree('var/run/cdi/smartnic.io_direct.json'), 'utf8'));
    deepEqual(given?.cdi, [`${direct}=${given?.ids[0]}`]);
    ok(spec.devices.some((device: { readonly name: string }) => device.name === given?.ids[0]));
  });
});
