// Which features of a netdev are on. Source: linux/ethtool_netlink.h, Documentation/networking/ethtool-netlink.rst (FEATURES_GET).
import { attributeMap, decodeAttributes, nested, readText, text } from './wire/codec.ts';
import { NetlinkError } from './wire/error.ts';
import type { Family } from './wire/generic.ts';

const ETHTOOL_MSG_FEATURES_GET = 11;
const ETHTOOL_A_FEATURES_HEADER = 1;
const ETHTOOL_A_HEADER_DEV_NAME = 2;
const ETHTOOL_A_FEATURES_ACTIVE = 4;
const bitset = { bits: 3, bit: 1, name: 2 } as const;

/** Names as `ethtool -k` prints them, e.g. `hw-tc-offload`; undefined when the netdev is gone. @throws NetlinkError */
export async function findFeatures(ethtool: Family, netdev: string): Promise<ReadonlySet<string> | undefined> {
  try {
    const [answer] = await ethtool.ask({
      attempt: `ask for the features of ${netdev}`,
      command: ETHTOOL_MSG_FEATURES_GET,
      attributes: [nested(ETHTOOL_A_FEATURES_HEADER, text(ETHTOOL_A_HEADER_DEV_NAME, netdev))],
    });
    const active = answer?.get(ETHTOOL_A_FEATURES_ACTIVE);
    return new Set(active ? namesOf(active) : []);
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return undefined;
    throw error;
  }
}

/** The kernel sends the active set without a mask: every bit in it is switched on. */
function namesOf(active: Buffer): readonly string[] {
  const bits = attributeMap(active).get(bitset.bits) ?? Buffer.alloc(0);
  return decodeAttributes(bits).flatMap(({ type, value }) => {
    const name = type === bitset.bit ? attributeMap(value).get(bitset.name) : undefined;
    return name === undefined ? [] : [readText(name)];
  });
}
