// Networks as the documentation of other plugins has them, rewritten: what somebody pastes into a network of ours, what we answer, and what it becomes.

export interface Example {
  readonly of: 'sriov-cni' | 'ovs-cni' | 'userspace-cni';
  readonly what: string;
  readonly theirs: object;
  /** What is said of it as it is, but for its type. Absent: it is taken as it is. */
  readonly said?: RegExp;
  readonly ours: object;
  /** For ports without a VF: the columns of their port, `tag vlan_mode trunks`. */
  readonly port?: string;
}

const ipam = { type: 'host-local', subnet: '10.56.217.0/24' };

export const examples: readonly Example[] = [
  {
    of: 'sriov-cni',
    what: 'a netdev with addresses',
    theirs: { type: 'sriov', ipam },
    said: /bridge: is missing/,
    ours: { bridge: 'br0', vnicType: 'direct', driver: 'kernel', ipam },
  },
  {
    of: 'sriov-cni',
    what: 'a VLAN with a priority',
    theirs: { type: 'sriov', bridge: 'br0', vlan: 1000, vlanQoS: 4, vlanProto: '802.1ad' },
    said: /unknown key "vlanQoS" \(sriov-cni's: write "vlanQos"\), "vlanProto" \(sriov-cni's: there is only 802\.1Q; take it out\)/,
    ours: { bridge: 'br0', vnicType: 'direct', representor: 'none', vlan: 1000, vlanQos: 4 },
  },
  {
    of: 'sriov-cni',
    what: 'rates, trust and a link that is always up',
    theirs: {
      type: 'sriov',
      bridge: 'br0',
      min_tx_rate: 100,
      max_tx_rate: 200,
      spoofchk: 'off',
      trust: 'on',
      link_state: 'enable',
    },
    said: /"min_tx_rate" \(sriov-cni's: write "minTxRate"\), "max_tx_rate" .*, "link_state" .*spoofchk: "off" is not a boolean|spoofchk: "off" is not a boolean/,
    ours: {
      bridge: 'br0',
      vnicType: 'direct',
      minTxRate: 100,
      maxTxRate: 200,
      spoofchk: false,
      trust: true,
      linkState: 'enable',
    },
  },
  {
    of: 'sriov-cni',
    what: 'a log of its own',
    theirs: { type: 'sriov', bridge: 'br0', logLevel: 'debug', logFile: '/tmp/sriov.log' },
    said: /"logLevel" \(sriov-cni's: it is a key of the node's configuration; take it out\), "logFile"/,
    ours: { bridge: 'br0', vnicType: 'direct' },
  },
  {
    of: 'ovs-cni',
    what: 'an access port',
    theirs: { type: 'ovs', bridge: 'br0', vlan: 100 },
    ours: { bridge: 'br0', vlan: 100 },
    port: '100 access []',
  },
  {
    of: 'ovs-cni',
    what: 'a trunk of single VLANs and a range',
    theirs: { type: 'ovs', bridge: 'br0', trunk: [{ id: 42 }, { minID: 1000, maxID: 1003 }] },
    ours: { bridge: 'br0', trunk: [{ id: 42 }, { minID: 1000, maxID: 1003 }] },
    port: '[] trunk [42, 1000, 1001, 1002, 1003]',
  },
  {
    of: 'ovs-cni',
    what: 'neither VLAN nor trunk, which carries all VLANs there',
    theirs: { type: 'ovs', bridge: 'br0' },
    ours: { bridge: 'br0', trunk: 'all' },
    port: '[] trunk []',
  },
  {
    of: 'ovs-cni',
    what: 'a large MTU',
    theirs: { type: 'ovs', bridge: 'br0', vlan: 100, mtu: 9000 },
    ours: { bridge: 'br0', vlan: 100, mtu: 9000 },
    port: '100 access []',
  },
  {
    of: 'ovs-cni',
    what: 'another database, a type and a number',
    theirs: { type: 'ovs', bridge: 'br0', socket_file: 'unix:/run/ovs/db.sock', interface_type: 'system', ofport_request: 7 },
    said: /"socket_file" \(ovs-cni's: write "ovsdb"\), "interface_type" .*, "ofport_request" \(ovs-cni's: Open vSwitch chooses/,
    ours: { bridge: 'br0', ovsdb: 'unix:/run/ovs/db.sock' },
  },
  {
    of: 'ovs-cni',
    what: 'patience with the link',
    theirs: {
      type: 'ovs',
      bridge: 'br0',
      link_state_check_retries: 5,
      link_state_check_interval: 600,
      configuration_path: '/etc/ovs.conf',
    },
    said: /"link_state_check_retries" \(ovs-cni's: ADD waits until ovs-vswitchd has taken the port; take it out\)/,
    ours: { bridge: 'br0' },
    port: '[] access []',
  },
  {
    of: 'userspace-cni',
    what: 'vhost-user ports of Open vSwitch',
    theirs: {
      type: 'userspace',
      kubeconfig: '/etc/cni/net.d/multus.d/multus.kubeconfig',
      sharedDir: '/var/lib/cni/usrspcni',
      host: {
        engine: 'ovs-dpdk',
        iftype: 'vhostuser',
        netType: 'bridge',
        vhost: { mode: 'client' },
        bridge: { bridgeName: 'br0' },
      },
      container: { engine: 'ovs-dpdk', iftype: 'vhostuser', netType: 'interface', vhost: { mode: 'server' } },
    },
    said: /"host" \(userspace-cni's: write "vnicType" and "bridge"\)|bridge: is missing/,
    ours: { bridge: 'br0', vnicType: 'virtio-forwarder' },
  },
];
