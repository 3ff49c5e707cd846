// What all vnic types with a VF share: what is read before the first change, what is set on the VF, and how everything is put back.
import { defined } from '../host/base/defined.ts';
import { messageOf, Unavailable } from '../host/base/errors.ts';
import type { Host } from '../host/host.ts';
import { type Binding, bindDriver, readBinding, renew, restoreBinding } from '../host/nic/driver.ts';
import type { IommuGroup } from '../host/nic/vf.ts';
import { findNetdev, type NetdevState, restoreNetdev } from '../host/nic/vf-netdev.ts';
import type { VfPlace } from '../host/nic/vf-place.ts';
import { changeVf, findVfSettings, overwritten, restoreVf, type VfChange } from '../host/nic/vf-settings.ts';
import type { VfDriver } from './drivers.ts';

/** A VF that a cable uses. It is part of the journal: this record alone is enough to put the VF back. */
export interface ReservedVf {
  readonly kind: 'vf';
  /** Its PCI address `dddd:bb:dd.f`. */
  readonly id: string;
  /** PCI address of its PF. */
  readonly pf: string;
  /** N of the PF's virtfnN. */
  readonly index: number;
  readonly driver: VfDriver;
  /** The attributes that plug sets through the PF. */
  readonly settings: VfChange;
  /** The netdev on the PF's switch that becomes the port. Absent when the VF is on its PF's own switch (legacy SR-IOV). */
  readonly representor?: string;
  readonly before: VfBefore;
}

/** The earlier state of everything that plug changes. */
export interface VfBefore {
  readonly binding: Binding;
  readonly settings: VfChange;
  readonly netdev?: NetdevState;
  readonly representor?: LinkState;
}

interface LinkState {
  readonly mtu: number;
  readonly up: boolean;
}

export interface VfWish extends Pick<ReservedVf, 'driver' | 'settings' | 'representor'> {
  /** Allow a VF that no IOMMU keeps away from the rest of the memory. */
  readonly noiommu: boolean;
}

/** Reads and decides, and changes nothing. @throws Error naming why this VF can't be given away in that way. */
export async function planVf(host: Host, { vf, pf }: VfPlace, wish: VfWish): Promise<ReservedVf> {
  const { address, index } = vf;
  const { driver, settings, representor } = wish;
  if (driver === 'vfio-pci') requireIsolation(address, vf.iommuGroup, wish.noiommu);
  const binding = (await readBinding(host, address)) ?? {};
  const [netdev, now] = [await findNetdev(host, address), await findVfSettings(host, address)];
  if (driver === 'kernel' && netdev === undefined) throw new Error(noNetdev(address, binding, vf.netdevElsewhere));
  if (driver === 'vfio-pci' && vf.netdevElsewhere) throw new Error(noNetdev(address, binding, true));
  if (now === undefined && Object.keys(settings).length > 0) {
    throw new Error(
      `VF ${address}: its PF ${pf} does not tell what is set on it, so ${Object.keys(settings).join(', ')} can't be set; is the PF bound to its driver here?`,
    );
  }
  using netlink = host.netlink();
  const port = representor === undefined ? undefined : await netlink.link(representor);
  if (representor !== undefined && port === undefined)
    throw new Error(`VF ${address}: there is no netdev ${representor} to be its representor`);
  return {
    ...{ kind: 'vf' as const, id: address, pf, index, driver, settings },
    ...defined({ representor }),
    before: {
      binding,
      settings: now === undefined ? {} : overwritten(now, settings),
      ...defined({
        netdev: netdev && { name: netdev.name, mac: netdev.mac, mtu: netdev.mtu, up: netdev.up },
        representor: port && { mtu: port.mtu, up: port.up },
      }),
    },
  };
}

/** Sets the attributes first and the driver after them, because the driver reads some attributes at its start. */
export async function setUpVf(host: Host, vf: ReservedVf): Promise<void> {
  await changeVf(host, vf.id, vf.settings);
  host.step('vf set');
  if (vf.driver === 'vfio-pci') await bindDriver(host, vf.id, 'vfio-pci');
  host.step('vf bound');
}

/** Sets the representor up with the port's MTU. Resolves with its MAC, for the result. */
export async function raiseRepresentor(host: Host, name: string, mtu: number): Promise<string> {
  using netlink = host.netlink();
  const link = await netlink.link(name);
  if (link === undefined) throw new Error(`the representor ${name} is gone; was its PF taken out of switchdev mode?`);
  await netlink.setLink(link.index, { up: true, mtu });
  host.step('representor up');
  return link.mac;
}

/** Tries all steps. Each step finds out what is left to do. @throws the first failure. */
export async function putBackVf(host: Host, vf: ReservedVf): Promise<void> {
  const { id: address, before, representor } = vf;
  const steps: Readonly<Record<string, () => Promise<void>>> = {
    'representor lowered': async () => {
      if (representor !== undefined) await lowerRepresentor(host, representor, before.representor);
    },
    'vf unset': async () => await restoreVf(host, address, before.settings),
    'vf released': async () => {
      // What a pod did to its netdev (promiscuous mode, further names, offloads, an XDP program, ethtool's settings) ends with that netdev. vfio resets
      // a VF by itself when its user ends.
      if (vf.driver === 'kernel') await renew(host, address, before.binding);
      else await restoreBinding(host, address, before.binding);
      if (before.netdev !== undefined) await restoreNetdev(host, address, before.netdev);
    },
  };
  const failures: unknown[] = [];
  for (const [name, step] of Object.entries(steps)) {
    await step().catch((error: unknown) => failures.push(error));
    host.step(name);
  }
  if (failures.length > 0) throw failures[0];
}

/** The next pod gets a representor with an MTU of its own. So one that can't be made as it was costs no VF. */
async function lowerRepresentor(host: Host, name: string, before: LinkState | undefined): Promise<void> {
  using netlink = host.netlink();
  const link = await netlink.link(name);
  if (link === undefined || before === undefined) return;
  await netlink.setLink(link.index, before).catch((error: unknown) => {
    if (error instanceof Unavailable) throw error;
    host.log.warn({ representor: name, error: messageOf(error) }, 'the representor does not get its old MTU and state back');
  });
}

function requireIsolation(address: string, group: IommuGroup | undefined, noiommu: boolean): void {
  if (group === undefined || group.noiommu) {
    if (noiommu) return;
    throw new Error(
      `VF ${address}: no IOMMU keeps it from the machine's memory; switch it on (VT-d or AMD-Vi in the firmware, and for Intel intel_iommu=on ` +
        `on the kernel's command line), or accept that with "allowNoiommu: true" in the node's configuration`,
    );
  }
  const others = group.members.filter((member) => member !== address);
  if (others.length === 0) return;
  throw new Error(
    `VF ${address}: its IOMMU group ${group.id} also holds ${others.join(', ')}, which could reach the pod's memory; is ACS on in the ` +
      `machine's firmware and on the bridges above?`,
  );
}

function noNetdev(address: string, { driver }: Binding, elsewhere: boolean): string {
  if (elsewhere)
    return `VF ${address}: its netdev is in another network namespace, so somebody uses it; has an earlier pod not been deleted?`;
  return `VF ${address}: it has no netdev to give to the pod; it is bound to ${driver ?? 'no driver'}; bind it to its network driver, or use "driver": "vfio-pci"`;
}
