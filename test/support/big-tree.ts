// A big machine for measuring: 8 PFs in switchdev mode with 64 VFs each.
import type { TreePf } from './sysfs-tree.ts';

export function bigMachine(): readonly TreePf[] {
  return Array.from({ length: 8 }, (_, at) => {
    const bus = (0x10 + at).toString(16);
    return {
      ...{
        address: `0000:${bus}:00.0`,
        ids: '15b3:101d',
        driver: 'mlx5_core',
        netdev: `up${at}`,
        switchId: `${at}a`,
        portName: 'p0',
      },
      ...{ totalVfs: 64, iommuGroup: 20 + at, numa: at % 2 },
      vfs: Array.from({ length: 64 }, (__, index) => ({
        ...{
          address: `0000:${bus}:${(1 + (index >> 3)).toString(16).padStart(2, '0')}.${index & 7}`,
          index,
          driver: 'mlx5_core',
        },
        ...{ ids: '15b3:101e', netdev: `v${at}x${index}`, iommuGroup: 100 + 64 * at + index, numa: at % 2 },
        representor: { netdev: `r${at}x${index}`, portName: `pf0vf${index}` },
      })),
    };
  });
}
