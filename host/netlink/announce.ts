// Announces a pod's new addresses, so that switches and neighbours forget what they cached for an older pod.
import { close, closeSync } from 'node:fs';
import { bind, SystemError, send, socket } from '../kernel/libc.ts';
import { inNetns, type Netns } from '../kernel/netns.ts';
import { gratuitousArp, unsolicitedAdvertisement } from './frames.ts';
import { parseCidr, parseIp } from './rtnetlink/inet.ts';

/** The link whose addresses are announced. It must be up. */
export interface Announcement {
  readonly netns: Netns;
  /** The link's index in that namespace. */
  readonly index: number;
  readonly mac: string;
  /** With or without prefix length: `10.0.0.5/24`, `2001:db8::5`. The duplicate detection of an address must have ended. */
  readonly addresses: readonly string[];
}

/**
 * Sends one gratuitous ARP or unsolicited neighbour advertisement for each address.
 * @throws SystemError (ENETDOWN when the link is down, ENODEV when it does not exist), RangeError for a text that is no address.
 */
export function announce({ netns, index, mac, addresses }: Announcement): void {
  const frames = addresses.map((address) => frame(mac, address));
  if (frames.length === 0) return;
  try {
    sendAll(netns, index, frames);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new SystemError(`announce ${addresses.join(', ')} on link ${index} in ${netns.path}`, error.errno);
  }
}

function sendAll(netns: Netns, index: number, frames: readonly Buffer[]): void {
  const fd = openPacketSocket(netns, index);
  try {
    for (const bytes of frames) send(fd, bytes);
  } finally {
    // Closing a packet socket takes the kernel some 10 ms. It happens on another thread, and nobody waits for it.
    close(fd, () => {});
  }
}

function frame(mac: string, address: string): Buffer {
  const { family } = address.includes('/') ? parseCidr(address) : parseIp(address);
  const [ip = ''] = address.split('/');
  return family === 4 ? gratuitousArp(mac, ip) : unsolicitedAdvertisement(mac, ip);
}

/** A socket that sends whole frames and receives none. It stays in the namespace in which it was made. */
function openPacketSocket(netns: Netns, index: number): number {
  const AF_PACKET = 17;
  const SOCK_RAW = 3;
  const fd = inNetns(netns, () => socket(AF_PACKET, SOCK_RAW, 0));
  try {
    const address = Buffer.alloc(20); // sockaddr_ll
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeInt32LE(index, 4);
    bind(fd, address);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
