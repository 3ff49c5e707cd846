// Keys of other CNI plugins' networks that are called differently here, or that there is no need for. An error about such a key says what to write.
// docs/coming-from.md has them all. Pure.

interface PeerKey {
  readonly of: 'sriov-cni' | 'ovs-cni' | 'userspace-cni';
  /** The key that stands in its place. */
  readonly ours?: string;
  /** What to do. */
  readonly words: string;
}

const peerKeys: Readonly<Record<string, PeerKey>> = {
  vlanQoS: { of: 'sriov-cni', ours: 'vlanQos', words: 'write "vlanQos"' },
  vlanProto: { of: 'sriov-cni', words: 'there is only 802.1Q; take it out' },
  min_tx_rate: { of: 'sriov-cni', ours: 'minTxRate', words: 'write "minTxRate"' },
  max_tx_rate: { of: 'sriov-cni', ours: 'maxTxRate', words: 'write "maxTxRate"' },
  link_state: { of: 'sriov-cni', ours: 'linkState', words: 'write "linkState"' },
  logLevel: { of: 'sriov-cni', words: "it is a key of the node's configuration; take it out" },
  logFile: { of: 'sriov-cni', words: "the log is the container's; take it out" },
  interface_type: { of: 'ovs-cni', ours: 'vnicType', words: 'the port is made for "vnicType"; take it out' },
  ofport_request: { of: 'ovs-cni', words: 'Open vSwitch chooses the number; find ports by their external_ids' },
  socket_file: { of: 'ovs-cni', ours: 'ovsdb', words: 'write "ovsdb"' },
  configuration_path: { of: 'ovs-cni', words: "the node's configuration is one file; take it out" },
  link_state_check_retries: { of: 'ovs-cni', words: 'ADD waits until ovs-vswitchd has taken the port; take it out' },
  link_state_check_interval: { of: 'ovs-cni', words: 'ADD waits until ovs-vswitchd has taken the port; take it out' },
  host: { of: 'userspace-cni', ours: 'vnicType', words: 'write "vnicType" and "bridge"' },
  container: {
    of: 'userspace-cni',
    ours: 'vnicType',
    words: 'write "vnicType"; the container has the socket in a directory of its own',
  },
  kubeconfig: { of: 'userspace-cni', words: 'the server has its own; take it out' },
  sharedDir: { of: 'userspace-cni', words: 'the device plugin mounts the directory; take it out, and the volume from the pod' },
};

/** What to do about an unknown key that another plugin knows. */
export function noteOnKey(key: string): string | undefined {
  const found = Object.hasOwn(peerKeys, key) ? peerKeys[key] : undefined;
  return found === undefined ? undefined : `${found.of}'s: ${found.words}`;
}

/** For the documentation's test: each key, whose it is, and ours. */
export const keysOfPeers: readonly (readonly [key: string, of: PeerKey['of'], ours?: string])[] = Object.entries(peerKeys).map(
  ([key, { of, ours }]) => (ours === undefined ? [key, of] : [key, of, ours]),
);
