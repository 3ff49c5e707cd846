// Moves a VF's own netdev into a pod. On its way it passes through a namespace made for this, where no name can collide and udev does not
// see it. So the pod sees the netdev only when it is complete. It does not come back: its driver makes a new one, which gets the old name.
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Machine, Stepping } from '../base/machine.ts';
import { isPciAddress } from '../base/pci-address.ts';
import { makeNetns, type Netns, ownNetns } from '../kernel/netns.ts';
import type { Link, Netlink, Netlinks } from '../netlink/netlink.ts';
import { NetlinkError } from '../netlink/wire/error.ts';
import { rebind } from './driver.ts';
import { findVf } from './pci.ts';

type Moving = Machine & Stepping & Netlinks & { readonly log: Logger };

/** What a move changes about a netdev. */
export interface NetdevState {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
}

export interface Move {
  /** PCI address of the VF. */
  readonly address: string;
  readonly to: Netns;
  readonly as: Omit<NetdevState, 'up'>;
}

/** Milliseconds in which a driver must create its netdev, or a name must become free. */
const patience = 5000;

/** The VF's netdev in our own namespace. */
export async function findNetdev(host: Moving, address: string): Promise<Link | undefined> {
  using here = host.netlink();
  // udevd may rename a new netdev between the two looks.
  for (let look = 1; ; look++) {
    const name = findVf(host, address)?.vf.netdevs[0];
    if (name === undefined) return undefined;
    const link = await here.link(name);
    if (link !== undefined || look === 5) return link;
  }
}

/** Moves the netdev, complete but down, to the other namespace. @throws when the name is taken there, or when it refuses the MAC or MTU. */
export async function moveNetdev(host: Moving, { address, to, as }: Move): Promise<void> {
  using there = host.netlink(to);
  if ((await there.link(as.name)) !== undefined) {
    throw new Error(`move the netdev of VF ${address}: ${to.path} has an interface ${as.name} already`);
  }
  await makeClean(host, address);
  await takeMac(host, address, as.mac);
  using limbo = makeNetns();
  using between = host.netlink(limbo);
  using own = ownNetns();
  using here = host.netlink();
  const netdev = await requireNetdev(host, address);
  await here.setLink(netdev.index, { up: false, netns: limbo });
  host.step('netdev taken');
  try {
    const { index, altNames, alias } = await onlyHardware(between);
    // The machine's further names would go into the pod, and the pod's name may be one of them.
    if (altNames !== undefined && altNames.length > 0) await between.removeAltNames(index, altNames);
    await between.setLink(index, { name: as.name, mtu: as.mtu, ...(alias !== undefined && { alias: '' }) });
    await between.setLink(index, { netns: to });
  } catch (error) {
    await sendBack(between, own).catch((second: unknown) =>
      host.log.warn({ address, error: messageOf(second) }, 'left to the kernel'),
    );
    throw new Error(`move the netdev of VF ${address} to ${to.path} as ${as.name}: ${messageOf(error)}`, { cause: error });
  }
}

/** What somebody outside of our attachments left on the netdev, the pod does not get. After our own, DEL has cleaned up. */
async function makeClean(host: Moving, address: string): Promise<void> {
  const { extras = [] } = await requireNetdev(host, address);
  if (extras.length === 0) return;
  host.log.warn({ address, extras }, 'the netdev of the VF is not as its driver made it: its driver starts anew');
  await rebind(host, address);
  await untilNetdev(host, address);
}

/** The VF's netdev in a pod's namespace, even if the pod has renamed it. */
export async function findNetdevIn(inside: Netlink, address: string, name: string): Promise<Link | undefined> {
  const links = await inside.links();
  const told = links.find(({ parent }) => parent === address);
  // Kernels before 5.14 do not say which device is behind a link. A virtio VF's netdev says `virtio7`, which is below the VF.
  return told ?? links.find((link) => link.name === name && link.kind === undefined && !isPciAddress(link.parent ?? ''));
}

/** The driver may make it in the background. Nothing is waited for when the VF is gone. */
async function untilNetdev(host: Moving, address: string): Promise<void> {
  for (const end = performance.now() + patience; (await findNetdev(host, address)) === undefined; await sleep(20)) {
    if (findVf(host, address) === undefined) return;
    if (performance.now() > end)
      throw new Error(`VF ${address} has no netdev although its driver started anew; the kernel log (dmesg) may say why`);
  }
}

/**
 * Gives the netdev in our own namespace its earlier name, MAC and MTU. What can't be given back costs only itself, because the VF is as good as
 * new without it: the log says so.
 */
export async function restoreNetdev(host: Moving, address: string, before: NetdevState): Promise<void> {
  await untilNetdev(host, address);
  const netdev = await findNetdev(host, address);
  if (netdev === undefined) return;
  host.step('netdev back');
  const { index } = netdev;
  using here = host.netlink();
  const tries = async (what: string, work: () => Promise<void>) =>
    await work().catch((error: unknown) => {
      if (!(error instanceof NetlinkError)) throw error;
      host.log.warn({ address, error: error.message }, `the netdev of the VF does not get its old ${what} back`);
    });
  // A MAC that the driver once chose at random can't always be given back. Then it has chosen another random one, which serves as well.
  if (netdev.mac !== before.mac && before.mac !== noMac && !(await setMac(here, index, before.mac)))
    host.log.info({ address, mac: before.mac }, 'the netdev of the VF does not take its old MAC back');
  if (netdev.mtu !== before.mtu) await tries('MTU', () => here.setLink(index, { up: false, mtu: before.mtu }));
  await tries('name', () => giveName(here, index, { address, name: before.name }));
  await tries('state', () => here.setLink(index, { up: before.up }));
}

const noMac = '00:00:00:00:00:00';

/**
 * When the drivers of two VFs restart at the same time, the kernel may give each of them the other's name. So a netdev waits under a name
 * that no other netdev has, until its own name is free. udevd may have given it that name as a further name: then it is taken away first.
 */
async function giveName(here: Netlink, index: number, { address, name }: { address: string; name: string }): Promise<void> {
  for (const end = performance.now() + patience; ; await sleep(20)) {
    if ((await here.link(index))?.name === name) return;
    try {
      return await here.setLink(index, { up: false, name });
    } catch (error) {
      if (!(error instanceof NetlinkError && error.code === 'EEXIST') || performance.now() > end) throw error;
      const { index: holder, altNames } = (await here.link(name)) ?? {};
      if (holder === index && altNames?.includes(name)) await here.removeAltNames(index, [name]).catch(ignoreRefusal);
      else await here.setLink(index, { up: false, name: ownName(address) });
    }
  }
}

/** Whether it helped is seen at the next try. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof NetlinkError)) throw error;
}

/** A netdev's name has at most 15 bytes. @example ownName('0000:42:10.0') gives 'sn0000421000'. */
function ownName(address: string): string {
  return `sn${address.replace(/[:.]/g, '').slice(-13)}`;
}

/**
 * The netdev takes the MAC itself if its driver allows it. Otherwise the driver restarts and takes the MAC that the PF gave: igbvf reads that
 * MAC only at its start, and igb refuses any other.
 */
async function takeMac(host: Moving, address: string, mac: string): Promise<void> {
  const netdev = await requireNetdev(host, address);
  if (netdev.mac === mac) return;
  using here = host.netlink();
  if (await setMac(here, netdev.index, mac)) return;
  await rebind(host, address);
  for (const end = performance.now() + patience; ; await sleep(20)) {
    const made = await findNetdev(host, address);
    if (made?.mac === mac || (made !== undefined && (await setMac(here, made.index, mac)))) return;
    if (performance.now() > end)
      throw new Error(`the netdev of VF ${address} does not take the MAC ${mac}; it has ${made?.mac ?? 'gone'}`);
  }
}

/** False when the driver refuses. Some drivers take the MAC late. */
async function setMac(netlink: Netlink, index: number, mac: string): Promise<boolean> {
  try {
    await netlink.setLink(index, { up: false, mac });
  } catch (error) {
    if (error instanceof NetlinkError) return false;
    throw error;
  }
  for (let look = 0; look < 20; look++, await sleep(50)) {
    if ((await netlink.link(index))?.mac === mac) return true;
  }
  return false;
}

async function requireNetdev(host: Moving, address: string): Promise<Link> {
  const netdev = await findNetdev(host, address);
  if (netdev !== undefined) return netdev;
  throw new Error(
    `VF ${address} has no netdev in the machine's namespace; is it bound to its network driver, and not given away?`,
  );
}

/** This does not search by name, because udev may have renamed the netdev a moment ago. */
async function onlyHardware(between: Netlink): Promise<Link> {
  const link = (await between.links()).find(({ kind, name }) => kind === undefined && name !== 'lo');
  if (link === undefined) throw new Error('it is not where it was moved to');
  return link;
}

async function sendBack(between: Netlink, own: Netns): Promise<void> {
  await between.setLink((await onlyHardware(between)).index, { netns: own });
}
