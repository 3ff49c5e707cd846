// What the virtual SmartNIC machine has, and that our program works on it as it ships.
import assert from 'node:assert/strict';
import { type DirectMachine, endSharedMachine, kernel, sharedDirectMachine, vfio, virtio } from './direct-machine.ts';
import { pfs } from './hardware.ts';
import type { Lab } from './lab.ts';
import type { LabNode } from './node.ts';
import { bindVfs, type LabVf, unbindVfs } from './vfs.ts';

after(endSharedMachine);

describe('the virtual SmartNIC machine', () => {
  let machine: DirectMachine;
  let lab: Lab;
  let node: LabNode;
  let vfs: readonly LabVf[];

  before(async function () {
    machine = await sharedDirectMachine.call(this);
    ({ lab, node, vfs } = machine);
  });

  it('has three PFs with seven VFs each on two NUMA nodes, every VF alone in its IOMMU group', () => {
    assert.equal(vfs.length, 21);
    assert.equal(new Set(vfs.map(({ address }) => address)).size, 21);
    assert.equal(new Set(vfs.map(({ iommuGroup }) => iommuGroup)).size, 21);
    for (const vf of vfs) {
      assert.equal(vf.groupSize, 1);
      assert.equal(vf.numaNode, pfs.find(({ address }) => address === vf.pf)?.numaNode);
    }
  });

  it('shows all VFs to the device plugin, with the pool that offers them', async () => {
    const lines = (await node.smartnic('vfs')).split('\n');
    for (const { address, numaNode, index, pf } of vfs) {
      const line = lines.find((each) => each.startsWith(address)) ?? '';
      const [driver, pool] = [pf === pfs[0].address ? '-' : 'igbvf', pf === pfs[1].address ? kernel : `${vfio},${virtio}`];
      assert.match(line, new RegExp(`^${address} +\\S+ +${index} +${driver} +${numaNode} +${pool} +free$`));
    }
  });

  it('binds a VF to vfio-pci, which makes a file for its group, and the device plugin explains it', async () => {
    const vf = pick(vfs, 2);
    const before = await lab.sh('ls /dev/vfio');
    assert.ok(!before.split('\n').includes(`${vf.iommuGroup}`));
    await bindVfs(lab, [vf], 'vfio-pci');
    assert.equal(await lab.sh(`stat -c %F /dev/vfio/${vf.iommuGroup}`), 'character special file');
    assert.match(
      await node.smartnic('explain', vf.address),
      new RegExp(`driver +vfio-pci\\n(.*\\n)*.*group ${vf.iommuGroup}\\n`),
    );
    await unbindVfs(lab, [vf]);
  });
});

function pick(vfs: readonly LabVf[], index: number): LabVf {
  const vf = vfs[index];
  assert.ok(vf !== undefined);
  return vf;
}
