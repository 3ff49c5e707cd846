// VFs and resources without a machine, for tests of the device plugin.

import { parsePciAddress } from '../../host/base/pci-address.ts';
import type { Vf } from '../../host/nic/vf.ts';
import type { Resource } from '../../inventory/offer/resource.ts';

/** VF `index` of PF `0000:0<pf>:00.0`: address, group and index follow from the two numbers. */
export function someVf(pf: number, index: number, differing: Partial<Vf> = {}): Vf {
  const bus = pf.toString(16).padStart(2, '0');
  const slot = (1 + Math.floor(index / 8)).toString(16).padStart(2, '0');
  const address = parsePciAddress(`${bus}:${slot}.${index % 8}`);
  return {
    address,
    pf: { address: parsePciAddress(`${bus}:00.0`), vendor: '8086', device: '1521', numVfs: 256, totalVfs: 256 },
    index,
    vendor: '8086',
    device: '1520',
    driver: 'vfio-pci',
    iommuGroup: { id: pf * 1000 + index, noiommu: false, members: [address] },
    inUse: [],
    ...differing,
  };
}

/** `count` VFs of each of the PFs. */
export function someVfs(pfs: readonly number[], count: number): readonly Vf[] {
  return pfs.flatMap((pf) => Array.from({ length: count }, (_, index) => someVf(pf, index)));
}

export function someResource(name: string, vfs: readonly Vf[], differing: Partial<Resource> = {}): Resource {
  return {
    name,
    pool: 'pool-a',
    vnicType: name.endsWith('virtio-forwarder') ? 'virtio-forwarder' : 'direct',
    allocation: 'pack',
    cdi: false,
    units: vfs.map((vf) => ({ id: vf.address, vf, problems: [], numaNodes: vf.numaNode === undefined ? [] : [vf.numaNode] })),
    ...differing,
  };
}

/** The resource with these reasons against one of its VFs. */
export function withProblems(resource: Resource, address: string, ...problems: readonly string[]): Resource {
  return { ...resource, units: resource.units.map((unit) => (unit.id === address ? { ...unit, problems } : unit)) };
}
