// A NIC for the node's /sys where the kernel has no SR-IOV: a tree of files, laid over it. Enough for finding, offering
// and reserving VFs; plugging one needs the real thing (test/lab).
import { makeTree, type TreePf } from '../support/sysfs-tree.ts';

const vf = (index: number, ids: string, prefix: string) => ({
  address: `0000:41:${prefix}.${index}`,
  index,
  driver: 'igbvf',
  ids,
  iommuGroup: Number(prefix) * 10 + index,
});

/** Two PFs with four VFs each. */
const pfs: readonly TreePf[] = ['0', '1'].map((port) => ({
  ...{ address: `0000:41:00.${port}`, driver: 'igb', ids: '8086:10c9', netdev: `pf${port}`, numa: 0 },
  vfs: [0, 1, 2, 3].map((index) => vf(index, '8086:10ca', port === '0' ? '10' : '11')),
}));

/** For `sys` of a cluster. Dispose it once the cluster is up. */
export function makeNic() {
  const tree = makeTree(...pfs);
  for (const { vfs = [] } of pfs)
    for (const { address, driver, iommuGroup } of vfs) {
      tree.link(`/sys/bus/pci/devices/${address}/driver`, `../../drivers/${driver}`);
      tree.link(`/sys/kernel/iommu_groups/${iommuGroup}/devices/${address}`, `../../../../bus/pci/devices/${address}`);
    }
  return {
    folders: { 'bus+pci': `${tree.root}/sys/bus/pci`, kernel: `${tree.root}/sys/kernel` },
    [Symbol.dispose]: () => tree[Symbol.dispose](),
  };
}
