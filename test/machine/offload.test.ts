// Transmit checksum offload of a real veth, read back from the kernel.
import assert from 'node:assert/strict';
import { type Netns, openNetns } from '../../host/kernel/netns.ts';
import { findFeatures } from '../../host/netlink/ethtool.ts';
import { openNetlink } from '../../host/netlink/netlink.ts';
import { disableTxChecksum } from '../../host/netlink/offload.ts';
import { findFamily } from '../../host/netlink/wire/generic.ts';
import { openSession } from '../../host/netlink/wire/session.ts';
import { protocols } from '../../host/netlink/wire/socket.ts';
import { makeNetns } from '../support/netns.ts';

describe('disableTxChecksum', () => {
  it("switches a veth's transmit checksums off, once and again, and leaves the rest", async () => {
    await using made = await makeNetns();
    using netns = openNetns(made.path);
    using netlink = openNetlink(netns);
    await netlink.createVeth({ name: 'sn1', mtu: 1500, peer: { name: 'eth0', mac: '0a:58:0a:00:00:05', mtu: 1500, netns } });
    const before = await features(netns, 'eth0');
    assert.ok(before.has('tx-checksum-ip-generic'), 'a veth begins with it on');
    await disableTxChecksum(netns, 'eth0');
    await disableTxChecksum(netns, 'eth0');
    const after = await features(netns, 'eth0');
    assert.deepEqual(
      [...after].filter((name) => name.startsWith('tx-checksum')),
      [],
    );
    assert.ok(after.has('tx-scatter-gather'));
    assert.ok((await features(netns, 'sn1')).has('tx-checksum-ip-generic'), 'the other end keeps it');
  });

  it('says so when there is no such link', async () => {
    await using made = await makeNetns();
    using netns = openNetns(made.path);
    await assert.rejects(disableTxChecksum(netns, 'eth7'), {
      code: 'ENODEV',
      message: /^disable transmit checksum offload of "eth7" in \/run\/netns\/.*: ENODEV/,
    });
  });
});

async function features(netns: Netns, ifname: string): Promise<ReadonlySet<string>> {
  using session = openSession({ protocol: protocols.generic, netns });
  const ethtool = await findFamily(session, 'ethtool');
  assert.ok(ethtool);
  return (await findFeatures(ethtool, ifname)) ?? new Set();
}
