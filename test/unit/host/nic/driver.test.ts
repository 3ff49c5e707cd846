// Binding drivers on a machine of files, with the fake driver core.
import assert from 'node:assert/strict';
import { bindDriver, findBinding, readBinding, rebind, renew, restoreBinding } from '../../../../host/nic/driver.ts';
import { type FakeDriverCore, startFakeDriverCore } from '../../../support/fake-driver-core.ts';
import { igb } from '../../../support/nic-trees.ts';
import { makeTree, type Tree, type TreeVf } from '../../../support/sysfs-tree.ts';

describe('the driver of a vf', () => {
  let tree: Tree;
  let core: FakeDriverCore;
  let vf: TreeVf;
  let bare: TreeVf;
  beforeEach(() => {
    const pf = igb({ vfs: 2 });
    const [first, second] = pf.vfs ?? [];
    if (first === undefined || second === undefined) throw new Error('the tree has no vfs');
    const { driver, netdev, ...unbound } = second;
    tree = makeTree({ ...pf, vfs: [first, unbound] });
    [vf, bare] = [first, unbound];
    core = startFakeDriverCore(tree, [first, unbound], ['igbvf', 'vfio-pci']);
  });
  afterEach(() => {
    core[Symbol.dispose]();
    tree[Symbol.dispose]();
  });

  it('is what sysfs says, none when it is bound to none, and absent with the vf', async () => {
    assert.deepEqual(findBinding(tree.host, vf.address), { driver: 'igbvf' });
    assert.deepEqual(findBinding(tree.host, bare.address), {});
    assert.equal(findBinding(tree.host, '0000:99:00.0'), undefined);
    assert.equal(await readBinding(tree.host, '0000:99:00.0'), undefined);
    assert.deepEqual(await readBinding(tree.host, vf.address), { driver: 'igbvf' });
    tree.write(`/sys/bus/pci/devices/${bare.address}/driver_override`, 'vfio-pci');
    assert.deepEqual(await readBinding(tree.host, bare.address), { override: 'vfio-pci' });
  });

  it('is overridden before the vf is let go, so that no other driver takes it in between', async () => {
    await bindDriver(tree.host, vf.address, 'vfio-pci');
    assert.deepEqual(core.events, [`unbind igbvf ${vf.address}`, `bind vfio-pci ${vf.address}`]);
    assert.equal(core.override(vf), 'vfio-pci');
    assert.equal(core.driver(vf), 'vfio-pci');
    await bindDriver(tree.host, vf.address, 'vfio-pci');
    assert.equal(core.events.length, 2, 'binding again does nothing');
  });

  it('comes back with no override left behind, and coming back twice is fine', async () => {
    const before = (await readBinding(tree.host, vf.address)) ?? {};
    await bindDriver(tree.host, vf.address, 'vfio-pci');
    for (const _ of [1, 2]) await restoreBinding(tree.host, vf.address, before);
    assert.equal(core.driver(vf), 'igbvf');
    assert.equal(core.override(vf), '');
    assert.equal(core.events.length, 4);
  });

  it('is none again for a vf that was bound to none', async () => {
    await bindDriver(tree.host, bare.address, 'vfio-pci');
    await restoreBinding(tree.host, bare.address, {});
    assert.deepEqual([core.driver(bare), core.override(bare)], [undefined, '']);
  });

  it('comes back after a crash between every two of the steps', async () => {
    const override = `/sys/bus/pci/devices/${vf.address}/driver_override`;
    tree.write(override, 'vfio-pci');
    await restoreBinding(tree.host, vf.address, { driver: 'igbvf' });
    assert.deepEqual([core.driver(vf), core.override(vf)], ['igbvf', '']);
    await bindDriver(tree.host, vf.address, 'vfio-pci');
    await restoreBinding(tree.host, vf.address, {}); // let go, not bound again
    await restoreBinding(tree.host, vf.address, { driver: 'igbvf', override: 'igbvf' });
    assert.deepEqual([core.driver(vf), core.override(vf)], ['igbvf', 'igbvf']);
  });

  it('starts anew without becoming another one', async () => {
    await rebind(tree.host, vf.address);
    assert.deepEqual(core.events, [`unbind igbvf ${vf.address}`, `bind igbvf ${vf.address}`]);
    assert.equal(core.override(vf), '');
    await assert.rejects(rebind(tree.host, bare.address), /bind 0000:41:10\.2 anew: it is bound to no driver/);
  });

  for (const [methods, resets] of [
    ['flr bus', true],
    ['bus', false], // that would reset its neighbours
    ['', false], // an admin switched them off
    [undefined, true], // kernels before 5.15
  ] as const)
    it(`starts anew on a vf that is ${resets ? '' : 'not '}reset in between, with reset methods "${methods}"`, async () => {
      core[Symbol.dispose]();
      tree.write(`/sys/bus/pci/devices/${vf.address}/reset`, '');
      if (methods !== undefined) tree.write(`/sys/bus/pci/devices/${vf.address}/reset_method`, methods);
      core = startFakeDriverCore(tree, [vf, bare], ['igbvf', 'vfio-pci']);
      await bindDriver(tree.host, vf.address, 'vfio-pci'); // whatever has it meanwhile
      const before = core.events.length;
      await renew(tree.host, vf.address, { driver: 'igbvf' });
      assert.deepEqual(core.events.slice(before), [
        `unbind vfio-pci ${vf.address}`,
        ...(resets ? [`reset ${vf.address}`] : []),
        `bind igbvf ${vf.address}`,
      ]);
      assert.equal(core.override(vf), '');
    });

  it('is refused with what to do when it is not loaded, and when there is no such vf', async () => {
    await assert.rejects(bindDriver(tree.host, vf.address, 'mlx5_core'), {
      message: `bind ${vf.address} to mlx5_core: the kernel has no such driver loaded; modprobe mlx5_core`,
    });
    assert.equal(core.driver(vf), 'igbvf');
    await assert.rejects(bindDriver(tree.host, '0000:99:00.0', 'vfio-pci'), /there is no such PCI device/);
    await restoreBinding(tree.host, '0000:99:00.0', { driver: 'igbvf' });
  });

  it('is missed aloud when it does not take the vf', async () => {
    core.refuse('vfio-pci');
    await assert.rejects(bindDriver(tree.host, vf.address, 'vfio-pci'), /it is bound to no driver instead; .*dmesg/);
    await restoreBinding(tree.host, vf.address, { driver: 'igbvf' });
    assert.equal(core.driver(vf), 'igbvf');
  });
});
