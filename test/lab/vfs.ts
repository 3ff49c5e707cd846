// VFs of the guest's NICs: made, listed, given to a driver. By sysfs alone, so that what our program does can be compared with it.
import type { Pf } from './hardware.ts';
import type { Lab } from './lab.ts';

export interface LabVf {
  readonly pf: string;
  readonly index: number;
  readonly address: string;
  readonly numaNode: number;
  readonly iommuGroup: number;
  /** Devices in that group. */
  readonly groupSize: number;
}

/** Loads igb and makes VFs, which stay without a driver. The PF's netdev goes up. */
export async function makeVfs(lab: Lab, pf: Pf, count: number): Promise<readonly LabVf[]> {
  await lab.sh(`
    set -e
    modprobe -a igb vfio-pci vfio_iommu_type1
    cd /sys/bus/pci/devices/${pf.address}
    for tries in $(seq 100); do [ -e net ] && break; sleep 0.1; done
    ip link set dev "$(ls net)" up
    echo 0 >sriov_drivers_autoprobe
    echo ${count} >sriov_numvfs
  `);
  return await listVfs(lab, pf);
}

async function listVfs(lab: Lab, pf: Pf): Promise<readonly LabVf[]> {
  const lines = await lab.sh(`
    cd /sys/bus/pci/devices/${pf.address}
    for link in virtfn*; do
      group=$(basename "$(readlink -f $link/iommu_group)")
      echo "\${link#virtfn} $(basename "$(readlink -f $link)") $(cat $link/numa_node) $group $(ls $link/iommu_group/devices | wc -l)"
    done
  `);
  const vfs = lines.split('\n').map((line) => {
    const [index, address = '', numaNode, iommuGroup, groupSize] = line.split(' ');
    const [at, node, group, size] = [index, numaNode, iommuGroup, groupSize].map(Number) as [number, number, number, number];
    return { pf: pf.address, index: at, address, numaNode: node, iommuGroup: group, groupSize: size };
  });
  return vfs.sort((a, b) => a.index - b.index);
}

/** Gives VFs to a driver; throws when one is then not bound to it. No override is left behind. */
export async function bindVfs(
  lab: Lab,
  vfs: readonly Pick<LabVf, 'address'>[],
  driver: 'vfio-pci' | 'igbvf' | 'uio_pci_generic',
): Promise<void> {
  await lab.sh(`
    set -e
    modprobe ${driver}
    for address in ${vfs.map(({ address }) => address).join(' ')}; do
      cd /sys/bus/pci/devices/$address
      [ ! -e driver ] || echo $address >driver/unbind
      echo ${driver} >driver_override
      echo $address >/sys/bus/pci/drivers_probe
      echo >driver_override
      [ "$(basename "$(readlink driver)")" = ${driver} ] || { echo "$address has not become ${driver}'s" >&2; exit 1; }
    done
  `);
}

/** Takes VFs from whatever driver has them. */
export async function unbindVfs(lab: Lab, vfs: readonly Pick<LabVf, 'address'>[]): Promise<void> {
  const addresses = vfs.map(({ address }) => address).join(' ');
  await lab.sh(
    `for vf in ${addresses}; do [ ! -e /sys/bus/pci/devices/$vf/driver ] || echo $vf >/sys/bus/pci/devices/$vf/driver/unbind; done`,
  );
}
