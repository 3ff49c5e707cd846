import { deepEqual, equal, ok } from 'node:assert/strict';
import { readVfioHolders } from '../../../../host/kernel/vfio-holders.ts';
import { openKernelQuestions } from '../../../../host/nic/kernel-facts.ts';
import { type KernelFacts, scanNics } from '../../../../host/nic/nics.ts';
import { bigMachine } from '../../../support/big-tree.ts';
import { fakeKernel } from '../../../support/fake-generic-netlink.ts';
import { ice, igb, mlx5, nfp, virtio } from '../../../support/nic-trees.ts';
import { answering, makeTree, type Tree } from '../../../support/sysfs-tree.ts';

const noOne: ReadonlySet<string> = new Set();

function scan(tree: Tree, facts: Partial<KernelFacts> = {}, allocated = noOne) {
  return scanNics(tree.host, { ask: answering(facts), allocated });
}

describe('a scan of', () => {
  it('a Netronome card finds its first physical port as the uplink and every representor', async () => {
    using tree = makeTree(nfp(3));
    const { pfs, vfs } = await scan(tree);
    deepEqual(pfs, [
      {
        address: '0000:04:00.0',
        netdev: 'enp4s0np0',
        vendor: '19ee',
        device: '4000',
        driver: 'nfp',
        numVfs: 3,
        totalVfs: 64,
        numaNode: 0,
        linkType: 'ether',
        eswitchMode: 'switchdev',
        switchId: '00154d1234ab',
      },
    ]);
    deepEqual(
      vfs.map(({ address, index, representor, driver, iommuGroup }) => [address, index, representor, driver, iommuGroup?.id]),
      [
        ['0000:04:08.0', 0, 'eth20', 'vfio-pci', 31],
        ['0000:04:08.1', 1, 'eth21', 'vfio-pci', 32],
        ['0000:04:08.2', 2, 'eth22', 'vfio-pci', 33],
      ],
    );
  });

  it('a Mellanox card with two pfs on one switch gives each vf the representor of its own pf', async () => {
    using tree = makeTree(mlx5(0, 2), mlx5(1, 2));
    const { vfs } = await scan(tree);
    deepEqual(
      vfs.map(({ address, pf, netdev, representor }) => [address, pf.netdev, netdev, representor]),
      [
        ['0000:3b:01.0', 'ens1f0np0', 'ens1f0v0', 'rep0x9'],
        ['0000:3b:01.1', 'ens1f0np0', 'ens1f0v1', 'rep0x8'],
        ['0000:3b:02.0', 'ens1f1np1', 'ens1f1v0', 'rep1x9'],
        ['0000:3b:02.1', 'ens1f1np1', 'ens1f1v1', 'rep1x8'],
      ],
    );
  });

  it('a NIC whose driver names its representors and not its uplink finds both', async () => {
    const pf = mlx5(0, 2);
    const named = (pf.vfs ?? []).map((vf) => ({ ...vf, representor: { netdev: `eth${vf.index}`, portName: String(vf.index) } }));
    using tree = makeTree({ ...pf, portName: '', vfs: named });
    const { pfs, vfs } = await scan(tree);
    deepEqual([pfs[0]?.netdev, vfs.map(({ representor }) => representor)], ['ens1f0np0', ['eth0', 'eth1']]);
  });

  it('an Intel 82576 finds legacy vfs without representors, NUMA -1 as absent, each alone in its group', async () => {
    using tree = makeTree(igb());
    const { pfs, vfs } = await scan(tree);
    equal(pfs[0]?.eswitchMode, 'legacy');
    equal(vfs.length, 7);
    deepEqual(
      vfs.map((vf) => vf.address),
      ['10.0', '10.2', '10.4', '10.6', '11.0', '11.2', '11.4'].map((at) => `0000:41:${at}`),
    );
    for (const vf of vfs) {
      equal(vf.numaNode, undefined);
      equal(vf.representor, undefined);
      deepEqual(vf.iommuGroup, { id: 16 + vf.index, noiommu: false, members: [vf.address] });
    }
  });

  it('an Intel E810 without an IOMMU finds vfs in no group', async () => {
    using tree = makeTree(ice(2));
    const { vfs } = await scan(tree);
    deepEqual(
      vfs.map((vf) => [vf.iommuGroup, vf.driver, vf.numaNode]),
      Array(2).fill([undefined, 'iavf', 0]),
    );
  });

  it('a machine with nothing in it finds nothing', async () => {
    using tree = makeTree();
    deepEqual(await scan(tree), { pfs: [], vfs: [], unread: [] });
  });

  it('functions that are no NIC, or can have no vfs, passes them by', async () => {
    using tree = makeTree(igb({ vfs: 1 }));
    tree.write('/sys/bus/pci/devices/0000:00:02.0/class', '0x030000');
    tree.write('/sys/bus/pci/devices/0000:00:02.0/sriov_totalvfs', '7'); // a GPU
    tree.write('/sys/bus/pci/devices/0000:00:03.0/class', '0x020000');
    equal((await scan(tree)).pfs.length, 1);
  });

  it('vfio-bound vfs tells their group, its no-IOMMU name and their own device', async () => {
    const pf = igb({ vfs: 2 });
    using tree = makeTree({
      ...pf,
      vfs: (pf.vfs ?? []).map((vf) => ({ ...vf, driver: 'vfio-pci', vfioDevice: `vfio${vf.index}` })),
    });
    tree.write('/sys/kernel/iommu_groups/17/name', 'vfio-noiommu');
    const { vfs } = await scan(tree);
    deepEqual(
      vfs.map((vf) => [vf.iommuGroup?.noiommu, vf.vfioDevice, vf.netdev]),
      [
        [false, 'vfio0', undefined],
        [true, 'vfio1', undefined],
      ],
    );
  });

  for (const [shape, driver] of Object.entries({
    'as a module names it': 'mlx5_vfio_pci',
    'of a GPU': 'nvgrace_gpu_vfio_pci',
    'for virtio': 'virtio_vfio_pci',
    'with hyphens': 'hisi-acc-vfio-pci',
    'of a name that nobody foresaw': 'new_migration_driver',
  }))
    it(`VFs at a variant of vfio (${shape}: ${driver}) finds their own device and who has them open, as in /sys and /proc`, async () => {
      const pf = mlx5(0, 2);
      using tree = makeTree({
        ...pf,
        vfs: (pf.vfs ?? []).map(({ netdev: _, ...vf }) => ({ ...vf, driver, vfioDevice: `vfio${vf.index}` })),
      });
      tree.write('/proc/77/comm', 'qemu-kvm');
      tree.link('/proc/77/fd/9', '/dev/vfio/100');
      tree.link('/proc/77/fd/10', '/dev/vfio/devices/vfio1');
      const silent = { links: async () => [], addresses: async () => [], routes: async () => [], [Symbol.dispose]: () => {} };
      const generic = fakeKernel([], {});
      using questions = openKernelQuestions({ root: tree.root, netlink: () => silent, generic, devlink: generic });
      const { vfs } = await scanNics(tree.host, { ask: questions.ask, allocated: noOne });
      deepEqual(
        vfs.map(({ vfioDevice, inUse }) => [vfioDevice, inUse]),
        [
          ['vfio0', ['/dev/vfio/100 is open in qemu-kvm (pid 77)']],
          ['vfio1', ['/dev/vfio/devices/vfio1 is open in qemu-kvm (pid 77)']],
        ],
      );
    });

  it('a shared group names its members, but not the bridge above them', async () => {
    const pf = igb({ vfs: 2 });
    using tree = makeTree({ ...pf, vfs: (pf.vfs ?? []).map((vf) => ({ ...vf, iommuGroup: 9 })) });
    tree.write('/sys/bus/pci/devices/0000:40:00.0/class', '0x060400');
    tree.link('/sys/bus/pci/devices/0000:40:00.0/iommu_group', '../../../../kernel/iommu_groups/9');
    const { vfs } = await scan(tree);
    deepEqual(vfs[0]?.iommuGroup?.members, ['0000:41:10.0', '0000:41:10.2']);
  });

  it('what the kernel says outranks what the tree suggests', async () => {
    using tree = makeTree(mlx5(0, 1));
    const { pfs, vfs } = await scan(tree, {
      eswitchModes: new Map([['0000:3b:00.0', 'legacy']]),
      hwTcOffload: new Map([['ens1f0np0', true]]),
      ports: [
        {
          netdev: 'odd',
          parent: '0000:3b:00.0',
          devlink: true,
          switchId: 'd4c2b30003a1420c',
          name: { kind: 'vf', pf: 0, vf: 0 },
        },
      ],
    });
    deepEqual([pfs[0]?.eswitchMode, pfs[0]?.hwTcOffload, vfs[0]?.representor], ['legacy', true, 'odd']);
  });

  it('a vf that vanishes while it is read leaves it out', async () => {
    const pf = igb({ vfs: 2 });
    using tree = makeTree(pf);
    tree.remove('/sys/bus/pci/devices/0000:41:10.2/uevent');
    deepEqual(
      (await scan(tree)).vfs.map((vf) => vf.address),
      ['0000:41:10.0'],
    );
  });
});

describe('a vf is in use by the host when', () => {
  const pf = igb({ vfs: 1 });
  const [netdev, address] = ['enp65s0v0', '0000:41:10.0'];

  async function reasons(prepare: (tree: Tree) => void, facts: Partial<KernelFacts> = {}, allocated = noOne) {
    using tree = makeTree(pf);
    prepare(tree);
    return (await scan(tree, facts, allocated)).vfs[0]?.inUse;
  }

  function upper(tree: Tree, name: string, isMaster: boolean): void {
    tree.write(`/sys/class/net/${name}/type`, '1');
    tree.link(`/sys/class/net/${netdev}/upper_${name}`, `../${name}`);
    if (isMaster) tree.link(`/sys/class/net/${netdev}/master`, `../${name}`);
  }

  it('its netdev has an address or a route of either family', async () => {
    const facts = {
      addresses: new Map([[netdev, ['10.0.0.5/24', '2001:db8::5/64']]]),
      routes: new Map([[netdev, ['0.0.0.0/0 via 10.0.0.1', '2001:db8:1::/48 via 2001:db8::1']]]),
    };
    deepEqual(await reasons(() => {}, facts), [
      'enp65s0v0 has address 10.0.0.5/24',
      'enp65s0v0 has address 2001:db8::5/64',
      'enp65s0v0 has route 0.0.0.0/0 via 10.0.0.1',
      'enp65s0v0 has route 2001:db8:1::/48 via 2001:db8::1',
    ]);
  });

  it('its netdev is a port of a bridge, a bond or Open vSwitch', async () => {
    deepEqual(
      await reasons((tree) => {
        upper(tree, 'br0', true);
        tree.write('/sys/class/net/br0/bridge/bridge_id', '8000.000000000000');
      }),
      ['enp65s0v0 is a port of bridge br0'],
    );
    deepEqual(
      await reasons((tree) => {
        upper(tree, 'bond0', true);
        tree.write('/sys/class/net/bond0/bonding/mode', 'active-backup 1');
      }),
      ['enp65s0v0 is a port of bond bond0'],
    );
    deepEqual(await reasons((tree) => upper(tree, 'ovs-system', true)), ['enp65s0v0 is a port of Open vSwitch']);
    deepEqual(await reasons((tree) => upper(tree, 'team0', true)), ['enp65s0v0 is a port of team0']);
  });

  it("it is a virtio VF, whose netdev lies below the VF's virtio device, and that netdev is in use", async () => {
    using tree = makeTree(virtio(2));
    const { vfs } = await scan(tree, { addresses: new Map([['ens5v0', ['192.0.2.5/24']]]) });
    deepEqual(
      vfs.map((vf) => [vf.netdev, vf.inUse]),
      [
        ['ens5v0', ['ens5v0 has address 192.0.2.5/24']],
        ['ens5v1', []],
      ],
    );
    const pf = virtio(1);
    using away = makeTree({ ...pf, vfs: (pf.vfs ?? []).map(({ netdev: _, ...vf }) => ({ ...vf, netdevElsewhere: true })) });
    deepEqual((await scan(away)).vfs[0]?.inUse, ['its netdev is in another network namespace']);
  });

  it('a VLAN or macvlan is built on it', async () => {
    deepEqual(await reasons((tree) => upper(tree, 'vlan7', false)), ['vlan7 is built on enp65s0v0']);
  });

  it('its netdev is in another network namespace', async () => {
    const elsewhere = { ...pf, vfs: (pf.vfs ?? []).map(({ netdev: _, ...vf }) => ({ ...vf, netdevElsewhere: true })) };
    using tree = makeTree(elsewhere);
    deepEqual((await scan(tree)).vfs[0]?.inUse, ['its netdev is in another network namespace']);
  });

  it('somebody has its vfio group or device open', async () => {
    const vfio = {
      ...pf,
      vfs: (pf.vfs ?? []).map(({ netdev: _, ...vf }) => ({ ...vf, driver: 'vfio-pci', vfioDevice: 'vfio4' })),
    };
    using tree = makeTree(vfio);
    const vfioHolders = new Map([
      ['/dev/vfio/16', ['qemu (pid 77)']],
      ['/dev/vfio/devices/vfio4', ['dpdk (pid 78)']],
    ]);
    deepEqual((await scan(tree, { vfioHolders })).vfs[0]?.inUse, [
      '/dev/vfio/16 is open in qemu (pid 77)',
      '/dev/vfio/devices/vfio4 is open in dpdk (pid 78)',
    ]);
  });

  it('none of it, once kubelet gave it to a pod', async () => {
    deepEqual(await reasons((tree) => upper(tree, 'ovs-system', true), {}, new Set([address])), []);
  });

  it('nothing of it', async () => {
    deepEqual(await reasons(() => {}), []);
  });
});

describe('the users of vfio', () => {
  it('are the processes that have a group or device open, not those that only have the container', async () => {
    using tree = makeTree();
    tree.write('/proc/77/comm', 'qemu-kvm');
    tree.link('/proc/77/fd/3', '/dev/vfio/vfio');
    tree.link('/proc/77/fd/5', '/dev/vfio/42');
    tree.link('/proc/77/fd/6', '/dev/vfio/42');
    tree.link('/proc/78/fd/9', '/dev/vfio/devices/vfio7');
    tree.link('/proc/79/fd/0', '/dev/null');
    tree.write('/proc/cpuinfo', 'not a process');
    const { holders, hidden } = await readVfioHolders(tree.host);
    deepEqual(
      [...holders],
      [
        ['/dev/vfio/42', ['qemu-kvm (pid 77)']],
        ['/dev/vfio/devices/vfio7', ['a process that is gone (pid 78)']],
      ],
    );
    equal(hidden, 0);
  });
});

describe('a scan of 512 vfs on 8 pfs', () => {
  it('stays far below a second even on a busy machine', async () => {
    using tree = makeTree(...bigMachine());
    const start = performance.now();
    const { vfs } = await scan(tree);
    ok(performance.now() - start < 1000);
    equal(vfs.filter((vf) => vf.representor === `r${vf.pf.netdev?.slice(2)}x${vf.index}`).length, 512);
  });
});
