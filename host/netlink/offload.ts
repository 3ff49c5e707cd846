// Switches off the transmit checksum offload of a pod's veth end. A userspace datapath (OVS `netdev`) forwards packets with the checksums
// that they came with, so the pod's kernel must complete them. Source: linux/ethtool_netlink.h (FEATURES_SET), linux/netdev_features.h.
import type { Netns } from '../kernel/netns.ts';
import { findFeatures } from './ethtool.ts';
import { nested, text } from './wire/codec.ts';
import { type Family, findFamily } from './wire/generic.ts';
import { openSession } from './wire/session.ts';
import { protocols } from './wire/socket.ts';

/** All features that `ethtool -K LINK tx off` switches off. A feature that a driver does not have is no error. */
const txChecksums = [
  'tx-checksum-ipv4',
  'tx-checksum-ip-generic',
  'tx-checksum-ipv6',
  'tx-checksum-fcoe-crc',
  'tx-checksum-sctp',
];

/**
 * @param netns - where the link is.
 * @throws NetlinkError (ENODEV when there is no such link); Error when the driver keeps one of them on.
 */
export async function disableTxChecksum(netns: Netns, ifname: string): Promise<void> {
  using session = openSession({ protocol: protocols.generic, netns });
  const ethtool = await findFamily(session, 'ethtool');
  if (!ethtool) throw new Error(`disable transmit checksum offload of "${ifname}": this kernel has no ethtool netlink (5.9 has)`);
  await switchOff(ethtool, ifname, txChecksums);
  const features = await findFeatures(ethtool, ifname);
  const left = txChecksums.filter((name) => features?.has(name));
  if (left.length > 0) throw new Error(`the driver of "${ifname}" in ${netns.path} keeps ${left.join(', ')} on`);
}

async function switchOff(ethtool: Family, ifname: string, names: readonly string[]): Promise<void> {
  const ETHTOOL_MSG_FEATURES_SET = 12;
  const ETHTOOL_A_FEATURES_HEADER = 1;
  const ETHTOOL_A_FEATURES_WANTED = 3;
  const ETHTOOL_A_HEADER_DEV_NAME = 2;
  const bitset = { bits: 3, bit: 1, name: 2 };
  const off = names.map((name) => nested(bitset.bit, text(bitset.name, name))); // a bit that is named without a value is cleared
  await ethtool.ask({
    attempt: `disable transmit checksum offload of "${ifname}"`,
    command: ETHTOOL_MSG_FEATURES_SET,
    attributes: [
      nested(ETHTOOL_A_FEATURES_HEADER, text(ETHTOOL_A_HEADER_DEV_NAME, ifname)),
      nested(ETHTOOL_A_FEATURES_WANTED, nested(bitset.bits, ...off)),
    ],
  });
}
