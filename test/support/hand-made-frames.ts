// Ethernet frames that a pod makes by hand, as root of its container may, and what another pod sees of them.
import { closeSync } from 'node:fs';
import { bind, readable, receive, send, socket } from '../../host/kernel/libc.ts';
import { inNetns, openNetns } from '../../host/kernel/netns.ts';
import { openNetlink } from '../../host/netlink/netlink.ts';

export interface Tap extends Disposable {
  /** Sends a broadcast with that text. `vlan` puts a tag in front of it; 0 makes it a priority tag. */
  send(text: string, options?: { readonly vlan?: number; readonly from?: string }): void;
  /** All texts that have come since the last call, up to and with `last`. Throws when `last` does not come within five seconds. */
  until(last: string): Promise<readonly string[]>;
}

const [AF_PACKET, SOCK_RAW, everyProtocol] = [17, 3, 0x0300];
/** Our own EtherType, which nobody answers (IEEE 802, local experimental 1). */
const etherType = Buffer.from('88b5', 'hex');
const marker = 'smartnic test: ';

/** On the pod's interface. */
export async function tap(netnsPath: string, ifname = 'eth0'): Promise<Tap> {
  using netns = openNetns(netnsPath);
  using netlink = openNetlink(netns);
  const link = await netlink.link(ifname);
  if (link === undefined) throw new Error(`${netnsPath} has no interface ${ifname}`);
  const fd = inNetns(netns, () => socket(AF_PACKET, SOCK_RAW, everyProtocol));
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16LE(everyProtocol, 2);
  address.writeInt32LE(link.index, 4);
  bind(fd, address);
  const buffer = Buffer.alloc(2048);
  return {
    send: (text, { vlan, from = link.mac } = {}) => send(fd, frame(text, from, vlan)),
    until: async (last) => {
      const texts: string[] = [];
      for (const end = performance.now() + 5000; texts.at(-1) !== last; ) {
        const got = receive(fd, buffer);
        const left = end - performance.now();
        if (got === undefined && (left <= 0 || !(await readable(fd, left))))
          throw new Error(`"${last}" did not come to ${ifname} in ${netnsPath}, only: ${texts.join(', ')}`);
        const text = got && textOf(buffer.subarray(0, got.size));
        if (text !== undefined) texts.push(text);
      }
      return texts;
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function frame(text: string, from: string, vlan: number | undefined): Buffer {
  const tag = vlan === undefined ? [] : [Buffer.from([0x81, 0x00, vlan >> 8, vlan & 0xff])];
  const addresses = Buffer.from(`ffffffffffff${from.replaceAll(':', '')}`, 'hex');
  return Buffer.concat([addresses, ...tag, etherType, Buffer.from(`${marker}${text}\0`), Buffer.alloc(46)]);
}

/** The kernel may have taken the tag off. So only the text tells frames apart. */
function textOf(bytes: Buffer): string | undefined {
  const at = bytes.indexOf(marker);
  return at < 0 ? undefined : bytes.toString('utf8', at + marker.length, bytes.indexOf(0, at));
}
