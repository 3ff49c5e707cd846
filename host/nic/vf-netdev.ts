// Moves a VF's own netdev into a pod and back. On its way it passes through a namespace made for this, where no name can collide and udev
// does not see it. So the pod sees the netdev only when it is complete.
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Machine, Stepping } from '../base/machine.ts';
import { makeNetns, type Netns, openNetns, ownNetns } from '../kernel/netns.ts';
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

/** Milliseconds in which the kernel must give back the hardware of a namespace that ended, or a driver must create its netdev. */
const patience = 5000;

/** The VF's netdev in our own namespace. */
export async function findNetdev(host: Moving, address: string): Promise<Link | undefined> {
  const name = findVf(host, address)?.vf.netdevs[0];
  if (name === undefined) return undefined;
  using here = host.netlink();
  return await here.link(name);
}

/** Moves the netdev, complete but down, to the other namespace. @throws when the name is taken there, or when it refuses the MAC or MTU. */
export async function moveNetdev(host: Moving, { address, to, as }: Move): Promise<void> {
  using there = host.netlink(to);
  if ((await there.link(as.name)) !== undefined) {
    throw new Error(`move the netdev of VF ${address}: ${to.path} has an interface ${as.name} already`);
  }
  await takeMac(host, address, as.mac);
  using limbo = makeNetns();
  using between = host.netlink(limbo);
  using own = ownNetns();
  using here = host.netlink();
  const netdev = await requireNetdev(host, address);
  await here.setLink(netdev.index, { up: false, netns: limbo });
  host.step('netdev taken');
  try {
    const moved = await onlyHardware(between);
    await between.setLink(moved.index, { name: as.name, mtu: as.mtu });
    await between.setLink(moved.index, { netns: to });
  } catch (error) {
    await sendBack(between, own).catch((second: unknown) =>
      host.log.warn({ address, error: messageOf(second) }, 'left to the kernel'),
    );
    throw new Error(`move the netdev of VF ${address} to ${to.path} as ${as.name}: ${messageOf(error)}`, { cause: error });
  }
}

/** The VF's netdev in a pod's namespace, even if the pod has renamed it. */
export async function findNetdevIn(inside: Netlink, address: string, name: string): Promise<Link | undefined> {
  const links = await inside.links();
  const told = links.find(({ parent }) => parent === address);
  // Kernels before 5.14 do not say which device is behind a link.
  return told ?? links.find((link) => link.name === name && link.kind === undefined && link.parent === undefined);
}

/**
 * Brings the netdev back to our own namespace from wherever it is, with its old name, MAC and MTU. A VF that is gone needs nothing.
 * @param netns - path of the namespace to which it was moved; may be gone. @throws when it does not come back, naming why.
 */
export async function bringHome(
  host: Moving,
  vf: { address: string; netns: string; ifname: string },
  before: NetdevState,
): Promise<void> {
  const { address } = vf;
  await fetch(host, vf);
  for (const end = performance.now() + patience; (await findNetdev(host, address)) === undefined; await sleep(20)) {
    if (findVf(host, address) === undefined) return;
    if (performance.now() < end) continue;
    // The netdev is in a namespace that we can't see any more. When its driver restarts, it creates a new one in the machine's namespace.
    await rebind(host, address);
    host.log.warn({ address }, 'the netdev of the VF was nowhere to be found: its driver made a new one');
  }
  host.step('netdev back');
  // A MAC that the driver once chose at random can't always be given back. Then it has chosen another random one, which serves as well.
  await takeMac(host, address, before.mac).catch((error: unknown) =>
    host.log.warn({ address, error: messageOf(error) }, 'the old MAC'),
  );
  const netdev = await requireNetdev(host, address);
  using here = host.netlink();
  if (netdev.name !== before.name || netdev.mtu !== before.mtu) {
    await here.setLink(netdev.index, { up: false, mtu: before.mtu });
    await giveName(here, netdev.index, { address, name: before.name });
  }
  await here.setLink(netdev.index, { up: before.up });
}

/**
 * When the drivers of two VFs restart at the same time, the kernel may give each of them the other's name. So a netdev waits under a name
 * that no other netdev has, until its own name is free.
 */
async function giveName(here: Netlink, index: number, { address, name }: { address: string; name: string }): Promise<void> {
  for (const end = performance.now() + patience; ; await sleep(20)) {
    try {
      return await here.setLink(index, { name });
    } catch (error) {
      if (!(error instanceof NetlinkError && error.code === 'EEXIST') || performance.now() > end) throw error;
      await here.setLink(index, { name: ownName(address) });
    }
  }
}

/** A netdev's name has at most 15 bytes. @example ownName('0000:42:10.0') gives 'sn0000421000'. */
function ownName(address: string): string {
  return `sn${address.replace(/[:.]/g, '')}`;
}

async function fetch(
  host: Moving,
  { address, netns, ifname }: { address: string; netns: string; ifname: string },
): Promise<void> {
  using pod = openIfThere(netns);
  if (pod === undefined) return;
  using inside = host.netlink(pod);
  using own = ownNetns();
  const netdev = await findNetdevIn(inside, address, ifname);
  // It gets a name of its own, because another netdev may have the pod's name or the old name now.
  if (netdev !== undefined) await inside.setLink(netdev.index, { up: false, netns: own, name: ownName(address) });
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

function openIfThere(path: string): Netns | undefined {
  try {
    return path === '' ? undefined : openNetns(path);
  } catch {
    return undefined; // the namespace is gone, and the kernel has given back everything in it
  }
}
