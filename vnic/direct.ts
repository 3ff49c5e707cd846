// `direct`: the pod gets the VF itself. With `vfio-pci` user space drives it (the pod sees /dev/vfio). With `kernel` its netdev moves in.

import { defined } from '../host/base/defined.ts';
import type { Host } from '../host/host.ts';
import { openNetns } from '../host/kernel/netns.ts';
import { findBinding } from '../host/nic/driver.ts';
import { findVf } from '../host/nic/pci.ts';
import { findNetdevIn, moveNetdev } from '../host/nic/vf-netdev.ts';
import { findVfSettings } from '../host/nic/vf-settings.ts';
import { canTake } from './drivers.ts';
import type { DeviceNode, Given } from './grant.ts';
import type { Port } from './port.ts';
import { putBackVf, type ReservedVf, raiseRepresentor, setUpVf } from './vf.ts';
import type { Cable, Offer } from './vnic.ts';

export const cable = {
  reserves: () => 'vf',
  takesIp: ({ reserved }) => reserved?.kind === 'vf' && reserved.driver === 'kernel',

  async plug(host, port) {
    const vf = vfOf(port);
    await setUpVf(host, vf);
    const bridge = vf.representor && { port: vf.representor, mac: await raiseRepresentor(host, vf.representor, port.mtu) };
    if (vf.driver === 'kernel') await give(host, port, vf);
    return {
      ...(bridge && { bridge }),
      pod: { name: port.ifname, mac: port.mac, mtu: port.mtu, pciID: vf.id },
    };
  },

  async check(host, port) {
    const vf = vfOf(port);
    const driver = findBinding(host, vf.id);
    if (driver === undefined) throw new Error(`VF ${vf.id} is not on the machine any more`);
    if (vf.driver === 'vfio-pci' && driver.driver !== 'vfio-pci') {
      throw new Error(`VF ${vf.id} is bound to ${driver.driver ?? 'no driver'}, not vfio-pci`);
    }
    // This asks the PF, because a later plugin of a chain may have changed the netdev's own MAC.
    const told = await findVfSettings(host, vf.id);
    const mac = told === 'untold' ? vf.settings.mac : told?.mac;
    if (mac !== vf.settings.mac)
      throw new Error(`VF ${vf.id} has MAC ${mac ?? 'unknown'} at its PF ${vf.pf}, not ${vf.settings.mac}`);
    if (vf.representor !== undefined) await checkRepresentor(host, vf.representor);
    if (vf.driver === 'kernel') await checkNetdev(host, port, vf);
  },

  async unplug(host, { reserved }) {
    if (reserved?.kind === 'vf') await putBackVf(host, reserved);
  },

  /** A netdev returns by itself when the pod's namespace ends. A VF at vfio-pci says nothing about the pod. */
  async alive(host, { reserved }) {
    if (reserved?.kind !== 'vf') return true; // the journal entry was lost, so nothing proves that the pod is gone
    const found = findVf(host, reserved.id);
    return found !== undefined && !(reserved.driver === 'kernel' && found.vf.netdevs.length > 0);
  },
} as const satisfies Cable;

export const offer: Offer = {
  drivers: ['vfio-pci', 'kernel'],
  slots: false,
  needsForwarder: false,
  prefers: 'low addresses',
  canTake,

  /**
   * With `kernel` the VF's netdev moves into the pod, and there is no device node to give. Otherwise the group's number is known before ADD binds
   * the VF to vfio-pci. Without an IOMMU it is not, because binding creates the group. Node names: kernel Documentation/driver-api/vfio.rst.
   */
  grant({ id, vf, driver }) {
    const generic = { deviceID: id };
    if (driver === 'kernel') return { devices: [], mounts: [], info: { generic } };
    const group = groupNode(id, vf);
    const devices = [node('/dev/vfio/vfio'), group];
    // ADD takes a VF from a variant of vfio to vfio-pci itself, which makes a device of another name.
    if (vf?.vfioDevice !== undefined && vf.driver === 'vfio-pci') devices.push(node(`/dev/vfio/devices/${vf.vfioDevice}`));
    return { devices, mounts: [], info: { generic, vfio: { mount: '/dev/vfio/vfio', 'dev-mount': group.containerPath } } };
  },

  deviceInfo: {
    type: 'pci',
    describe: ({ id, pf, representor }) => ({
      'pci-address': id,
      ...defined({ 'pf-pci-address': pf, 'representor-device': representor }),
    }),
  },
};

async function give(host: Host, port: Port, { id: address }: ReservedVf): Promise<void> {
  using pod = openNetns(port.netns);
  await moveNetdev(host, { address, to: pod, as: { name: port.ifname, mac: port.mac, mtu: port.mtu } });
  host.step('netdev moved');
  using inside = host.netlink(pod);
  const link = await inside.link(port.ifname);
  if (link === undefined) throw new Error(`the netdev of VF ${address} is not in ${port.netns} as ${port.ifname}`);
  await inside.setLink(link.index, { up: true });
}

async function checkRepresentor(host: Host, name: string): Promise<void> {
  using netlink = host.netlink();
  const link = await netlink.link(name);
  if (link === undefined) throw new Error(`the representor ${name} is gone`);
  if (!link.up) throw new Error(`the representor ${name} is down`);
}

async function checkNetdev(host: Host, port: Port, { id: address }: ReservedVf): Promise<void> {
  using pod = openNetns(port.netns);
  using inside = host.netlink(pod);
  const link = await findNetdevIn(inside, address, port.ifname);
  if (link?.name !== port.ifname) throw new Error(`${port.netns} has no interface ${port.ifname} of VF ${address}`);
  if (!link.up) throw new Error(`${port.ifname} in ${port.netns} is down`);
  if (link.mac !== port.mac) throw new Error(`${port.ifname} in ${port.netns} has MAC ${link.mac}, not ${port.mac}`);
}

function vfOf({ reserved, ifname }: Port): ReservedVf {
  if (reserved?.kind !== 'vf') throw new Error(`${ifname} was planned as direct without a VF; this is a fault of smartnic`);
  return reserved;
}

/** A noiommu group's node is `noiommu-<id>` on the host. In the container it is `<id>`, because user space looks for that name. */
function groupNode(id: string, vf: Given['vf']): DeviceNode {
  const group = vf?.iommuGroup;
  if (group === undefined) {
    throw new Error(
      `${id} is in no IOMMU group, so there is no /dev/vfio node to give: switch the IOMMU on (VT-d or AMD-Vi in the firmware, and ` +
        `for Intel intel_iommu=on on the kernel's command line), or bind the VF to vfio-pci in no-IOMMU mode before it is offered`,
    );
  }
  return node(`/dev/vfio/${group.noiommu ? 'noiommu-' : ''}${group.id}`, `/dev/vfio/${group.id}`);
}

function node(hostPath: string, containerPath = hostPath): DeviceNode {
  return { hostPath, containerPath, permissions: 'rw' };
}
