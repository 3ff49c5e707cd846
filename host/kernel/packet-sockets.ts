// Which links programs of our network namespace read frames from, by packet sockets (tcpdump, lldpd, DHCP clients, a userspace Open vSwitch).
import type { Machine } from '../base/machine.ts';
import { onHost, readText } from './sysfs.ts';

/**
 * The links' indexes. Source: packet_seq_show in the kernel's net/packet/af_packet.c.
 * @example `000000003dcbb1a2 3 3 0003 5 1 0 0 41170` is a socket bound to link 5; 0 in its place is bound to all links.
 */
export function readPacketSockets(host: Machine): ReadonlySet<number> {
  const [, ...lines] = (readText(onHost(host, '/proc/net/packet')) ?? '').split('\n');
  return new Set(lines.map((line) => Number(line.trim().split(/\s+/)[4])).filter((index) => index > 0));
}
