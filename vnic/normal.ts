// `normal`: a veth pair. One end is created in the pod under its final name, and the other end is a port of the bridge. It reserves nothing.

import type { Host } from '../host/host.ts';
import { openNetns } from '../host/kernel/netns.ts';
import type { Link } from '../host/netlink/netlink.ts';
import { disableTxChecksum } from '../host/netlink/offload.ts';
import type { PluggedPort, Port } from './port.ts';
import type { Cable } from './vnic.ts';

export const cable = {
  reserves: () => undefined,
  takesIp: () => true,

  async plug(host, port) {
    using pod = openNetns(port.netns);
    using machine = host.netlink();
    const bridgeEnd = await machine.createVeth({
      name: port.bridgePort,
      mtu: port.mtu,
      alias: aliasOf(port),
      peer: { name: port.ifname, mac: port.mac, mtu: port.mtu, netns: pod },
    });
    host.step('veth made');
    await machine.setLink(bridgeEnd.index, { up: true });
    return {
      bridge: { port: port.bridgePort, mac: bridgeEnd.mac },
      pod: { name: port.ifname, mac: port.mac, mtu: port.mtu },
      finish: () => readyPodEnd(host, port),
    };
  },

  async check(host, port) {
    using pod = openNetns(port.netns);
    using machine = host.netlink();
    using inside = host.netlink(pod);
    const bridgeEnd = found(await machine.link(port.bridgePort), port.bridgePort);
    const podEnd = found(await inside.link(port.ifname), `${port.ifname} in ${port.netns}`);
    if (!bridgeEnd.up) throw new Error(`${port.bridgePort}, the bridge's end of ${port.ifname}, is down`);
    if (!podEnd.up) throw new Error(`${port.ifname} in ${port.netns} is down`);
    if (podEnd.mac !== port.mac) throw new Error(`${port.ifname} in ${port.netns} has MAC ${podEnd.mac}, not ${port.mac}`);
  },

  async unplug(host, port) {
    using machine = host.netlink();
    const link = await machine.link(port.bridgePort);
    if (link === undefined) return;
    if (isOurs(link, port)) await machine.deleteLink(link.index);
    else host.log.warn({ link: link.name, alias: link.alias, ...idOf(port) }, 'a link that is not ours has this name; it stays');
  },

  /** Both ends of a veth pair exist together, at most as long as the pod's namespace. */
  async alive(host, port) {
    using machine = host.netlink();
    return (await machine.link(port.bridgePort)) !== undefined;
  },
} as const satisfies Cable;

/** The most letters that every kernel takes as an alias (IFALIASZ is 256), with the closing zero that we send. */
const longestAlias = 254;

/**
 * The alias says whose cable it is. The name alone does not, because a database may name any link of this machine. A network's name may have 253 letters, so the end of a long one is left out.
 */
function aliasOf({ network, containerId, ifname }: PluggedPort): string {
  const rest = ` ${containerId} ${ifname}`;
  const room = Math.max(0, longestAlias - 'smartnic '.length - rest.length);
  const name = network.length > room ? `${network.slice(0, Math.max(0, room - 3))}...` : network;
  return `smartnic ${name}${rest}`.slice(0, longestAlias);
}

/** A crash may come between the making of a link and its alias. Until then it has one of our names, which nobody else gives to a veth. */
function isOurs({ name, alias, kind }: Link, port: PluggedPort): boolean {
  return kind === 'veth' && (alias === aliasOf(port) || (alias === undefined && /^sn[0-9a-f]{12}$/.test(name)));
}

function idOf({ network, containerId, ifname }: PluggedPort) {
  return { network, containerId, ifname };
}

async function readyPodEnd(host: Host, { netns, ifname, datapath }: Port): Promise<void> {
  using pod = openNetns(netns);
  // A userspace datapath forwards frames unchanged, so nobody would fill in a checksum that was left to the hardware.
  if (datapath === 'netdev') await disableTxChecksum(pod, ifname);
  using inside = host.netlink(pod);
  await inside.setLink(found(await inside.link(ifname), `${ifname} in ${netns}`).index, { up: true });
  host.step('veth up');
}

function found(link: Link | undefined, name: string): Link {
  if (link === undefined) throw new Error(`interface ${name} is not there`);
  return link;
}
