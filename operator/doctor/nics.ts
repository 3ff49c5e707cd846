// What can this node give to pods, and do the NICs and the kernel do their part?
import { existsOnHost, onHost, readText } from '../../host/kernel/sysfs.ts';
import { quarantineDir, readQuarantine } from '../../host/nic/quarantine.ts';
import type { Pf, Vf } from '../../host/nic/vf.ts';
import { readOvsFacts } from '../../host/ovs/facts.ts';
import { about, type Examination, type Finding, type Patient } from './finding.ts';
import type { Survey } from './survey.ts';

const mend = 'run it as root; in a container /sys must be mounted';

export const examineNics: Examination = async (patient) => {
  const topic = about('SR-IOV');
  const { nics, problem, resources } = await patient.survey();
  const { pfs, vfs, unread } = nics;
  const problems = [...(problem === undefined ? [] : [problem]), ...unread].map((words) => topic.fail(words, mend));
  if (pfs.length === 0 && problems.length === 0) return [topic.ok('no NIC with SR-IOV: this node serves `normal` ports')];
  const bySwitch = pfs.flatMap((pf) =>
    examinePf(
      pf,
      vfs.filter((vf) => vf.pf.address === pf.address),
    ),
  );
  // The device plugin does not see Open vSwitch.
  const isAsked = patient.place !== 'device-plugin' && pfs.some((pf) => pf.eswitchMode === 'switchdev');
  const offloads = isAsked ? await examineOffload(patient) : [];
  const passthrough =
    vfs.length > 0
      ? [
          ...examineVfio(patient, byVfio(resources)),
          examineIommu(patient, vfs, byVfio(resources)),
          ...examineInterrupts(patient),
          ...examineResets(patient, vfs),
        ]
      : [];
  return [...problems, ...bySwitch, ...offloads, ...passthrough, ...examineQuarantine(patient)];
};

/** The pools in force that offer VFs by vfio-pci. Without any, neither the driver nor an IOMMU is needed. */
function byVfio(resources: Survey['resources']): ReadonlySet<string> {
  return new Set(resources.filter(({ driver, units }) => driver === 'vfio-pci' && units.length > 0).map(({ pool }) => pool));
}

function examinePf({ address, netdev, numVfs, totalVfs, eswitchMode, hwTcOffload }: Pf, vfs: readonly Vf[]): readonly Finding[] {
  const { ok, warn, fail } = about(`PF ${netdev ?? address}`);
  const what = `${address}: ${numVfs} of ${totalVfs} VFs`;
  if (numVfs === 0) return [ok(`${what}; for some: echo N > /sys/bus/pci/devices/${address}/sriov_numvfs`)];
  if (eswitchMode !== 'switchdev') {
    const switchIt = `unbind the VFs, then devlink dev eswitch set pci/${address} mode switchdev; or write "representor": "none" in the network`;
    return [
      warn(
        `${what}, ${eswitchMode ?? 'in a mode that is not told'}: VFs have no representor to be a port of the bridge`,
        switchIt,
      ),
    ];
  }
  const without = vfs.filter(({ representor }) => representor === undefined).map(({ index }) => index);
  return [
    ok(`${what}, in switchdev mode`),
    ...(without.length === 0
      ? []
      : [
          fail(
            `VFs ${without.join(', ')} have no representor here`,
            `look at devlink port show pci/${address}; are they in another namespace?`,
          ),
        ]),
    ...(hwTcOffload === false
      ? [warn('hw-tc-offload is off: flows are not offloaded', `ethtool -K ${netdev ?? address} hw-tc-offload on`)]
      : []),
  ];
}

async function examineOffload({ host, settings }: Patient): Promise<readonly Finding[]> {
  const { ok, warn } = about('hw-offload');
  // Another examination reports that OVSDB does not answer.
  const facts = await readOvsFacts(host.ovsdb(settings.ovsdb)).catch(() => undefined);
  if (facts === undefined) return [];
  if (facts.otherConfig['hw-offload'] === 'true') return [ok('Open vSwitch offloads flows to the NIC')];
  const how = 'ovs-vsctl set Open_vSwitch . other_config:hw-offload=true, then systemctl restart openvswitch-switch';
  return [warn('Open vSwitch does not offload flows to the NIC', how)];
}

function examineVfio({ host }: Patient, pools: ReadonlySet<string>): readonly Finding[] {
  const { ok, fail } = about('vfio-pci');
  if (existsOnHost(onHost(host, '/sys/bus/pci/drivers/vfio-pci'))) return [ok('loaded')];
  if (pools.size === 0) return [ok('not loaded, and no pool in force offers a VF by it')];
  const how = 'modprobe vfio-pci, and write it into /etc/modules-load.d/';
  return [fail(`not loaded: no VF of ${poolNames(pools)} can be given to user space`, how)];
}

function poolNames(pools: ReadonlySet<string>): string {
  return `pool ${[...pools].join(', ')}`;
}

function examineIommu({ settings }: Patient, vfs: readonly Vf[], pools: ReadonlySet<string>): Finding {
  const { ok, warn, fail } = about('IOMMU');
  if (vfs.some(({ iommuGroup }) => iommuGroup === undefined || iommuGroup.noiommu)) {
    const how = "switch VT-d or AMD-Vi on in the firmware, and for Intel write intel_iommu=on on the kernel's command line";
    return settings.allowNoiommu
      ? warn('off, and allowed to be off: pods with a VF can read all memory', how)
      : pools.size === 0
        ? warn('off: VFs would be refused to user space; no pool in force offers one by vfio-pci', how)
        : fail(`off: VFs of ${poolNames(pools)} are refused to user space`, how);
  }
  const shared = vfs.filter(({ iommuGroup }) => (iommuGroup?.members.length ?? 1) > 1).map(({ address }) => address);
  if (shared.length === 0) return ok('on, every VF is alone in its group');
  return warn(`${some(shared)} share a group with others and are refused`, 'another slot, or ACS in the firmware');
}

const unsafeInterrupts = '/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts';

/** Without interrupt remapping, a device in a pod can raise any interrupt of the machine. */
function examineInterrupts({ host }: Patient): readonly Finding[] {
  if (readText(onHost(host, unsafeInterrupts))?.trim() !== 'Y') return [];
  return [
    about('IOMMU').warn(
      'allow_unsafe_interrupts is on: a pod with a VF can raise interrupts of the whole machine',
      'take it out of /etc/modprobe.d and of the command line of the kernel; without it vfio-pci refuses where interrupts are not remapped',
    ),
  ];
}

/** The kernel shows `reset` for a device that it can reset (Documentation/ABI/testing/sysfs-bus-pci). */
function examineResets({ host }: Patient, vfs: readonly Vf[]): readonly Finding[] {
  const without = vfs
    .map(({ address }) => address)
    .filter((address) => !existsOnHost(onHost(host, `/sys/bus/pci/devices/${address}/reset`)));
  if (without.length === 0) return [];
  return [
    about('reset').warn(
      `${some(without)} can't be reset: what one pod did to such a VF, the next one may inherit`,
      'ask the maker of the NIC for a firmware with function-level reset (FLR); lspci -vv shows FLReset+',
    ),
  ];
}

function examineQuarantine({ host }: Patient): readonly Finding[] {
  return [...readQuarantine(host)].map(([address, reason]) =>
    about('quarantine').warn(`VF ${address}: ${reason}`, `unbind and bind its driver, then remove ${quarantineDir}/${address}`),
  );
}

function some(addresses: readonly string[]): string {
  const more = addresses.length - 3;
  return `VFs ${addresses.slice(0, 3).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
