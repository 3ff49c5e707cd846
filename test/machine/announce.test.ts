// Announcements on a real veth: what its other end receives.
import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { bind, readable, receive, socket } from '../../host/kernel/libc.ts';
import { inNetns, type Netns, openNetns } from '../../host/kernel/netns.ts';
import { announce } from '../../host/netlink/announce.ts';
import { gratuitousArp, unsolicitedAdvertisement } from '../../host/netlink/frames.ts';
import { openNetlink } from '../../host/netlink/netlink.ts';
import { run } from '../../tools/program.ts';
import { makeNetns } from '../support/netns.ts';

const mac = '0a:58:0a:00:00:05';

describe('announce', () => {
  it("reaches the veth's other end with an ARP for IPv4 and an advertisement for IPv6", async () => {
    await using cleanup = new AsyncDisposableStack();
    const { hostNetns, netns, index } = await cable(cleanup);
    const wire = inNetns(hostNetns, openWire);
    cleanup.defer(() => closeSync(wire.fd));
    announce({ netns, index, mac, addresses: ['10.0.0.5/24', '2001:db8::5'] });
    const arp = gratuitousArp(mac, '10.0.0.5').toString('hex');
    const advertisement = unsolicitedAdvertisement(mac, '2001:db8::5').toString('hex');
    const seen = await framesUntil(wire.fd, advertisement);
    assert.deepEqual(
      seen.filter((frame) => frame === arp || frame === advertisement),
      [arp, advertisement],
    );
  });

  it('has the neighbour believe it: the old entry of an IPv6 address is overridden', async () => {
    await using cleanup = new AsyncDisposableStack();
    const { hostName, hostEnd, inHost, netns, index } = await cable(cleanup);
    await inHost.addAddress(hostEnd, '2001:db8::1/64', { noDad: true });
    const ip = (...args: readonly string[]) => run('ip', ['-netns', hostName, ...args]);
    await ip('neighbour', 'add', '2001:db8::5', 'lladdr', '02:00:00:00:00:99', 'dev', 'sn1', 'nud', 'stale');
    announce({ netns, index, mac, addresses: ['2001:db8::5/64'] });
    for (let tries = 0; tries < 100; tries += 1) {
      const { stdout } = await ip('neighbour', 'show', '2001:db8::5', 'dev', 'sn1');
      if (stdout.includes(mac)) return; // the kernel checked the ICMPv6 checksum before it believed this
      await sleep(10);
    }
    assert.fail(`the neighbour table never showed ${mac}`);
  });

  it('says so when the link is down or not there', async () => {
    await using cleanup = new AsyncDisposableStack();
    const { netns, index, inPod } = await cable(cleanup);
    assert.throws(() => announce({ netns, index: 4711, mac, addresses: ['10.0.0.5'] }), { code: 'ENODEV' });
    await inPod.setLink(index, { up: false });
    assert.throws(() => announce({ netns, index, mac, addresses: ['10.0.0.5'] }), {
      code: 'ENETDOWN',
      message: `announce 10.0.0.5 on link ${index} in ${netns.path}: ENETDOWN Network is down`,
    });
  });
});

/** A veth between two namespaces, both ends up. */
async function cable(cleanup: AsyncDisposableStack) {
  const host = cleanup.use(await makeNetns());
  const pod = cleanup.use(await makeNetns());
  const hostNetns: Netns = cleanup.use(openNetns(host.path));
  const netns: Netns = cleanup.use(openNetns(pod.path));
  const inHost = cleanup.use(openNetlink(hostNetns));
  const inPod = cleanup.use(openNetlink(netns));
  const { index: hostEnd, peerIndex: index = 0 } = await inHost.createVeth({
    name: 'sn1',
    mtu: 1500,
    peer: { name: 'eth0', mac, mtu: 1500, netns },
  });
  await inHost.setLink(hostEnd, { up: true });
  await inPod.setLink(index, { up: true });
  return { hostName: host.name, hostNetns, netns, inHost, inPod, hostEnd, index };
}

/** A socket that receives every frame of the calling thread's namespace. */
function openWire(): { readonly fd: number } {
  const AF_PACKET = 17;
  const SOCK_RAW = 3;
  const everyProtocol = 0x0300; // ETH_P_ALL in network byte order
  const fd = socket(AF_PACKET, SOCK_RAW, everyProtocol);
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16LE(everyProtocol, 2);
  bind(fd, address);
  return { fd };
}

async function framesUntil(fd: number, last: string): Promise<readonly string[]> {
  const frames: string[] = [];
  const buffer = Buffer.alloc(2048);
  while (frames.at(-1) !== last) {
    const frame = receive(fd, buffer);
    if (frame) frames.push(buffer.toString('hex', 0, frame.size));
    else assert.ok(await readable(fd, 2000), `no more frames after ${frames.join(' ')}`);
  }
  return frames;
}
