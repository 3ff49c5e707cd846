// What a node has before smartnic comes: a real Open vSwitch (userspace datapath), and a main network.
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';
import { eventually } from './cluster.ts';

/** `multus`: pods have eth0 of a Linux bridge, and further networks by Multus; `none`: no network at all, so the node is NotReady. */
export type MainNetwork = 'multus' | 'none';

export function prepareNode(network: MainNetwork): (cluster: Cluster) => Promise<void> {
  return async (cluster) => {
    await startOvs(cluster);
    if (network === 'multus')
      await cluster.run('tee', ['/etc/cni/net.d/00-multus.conf'], { input: JSON.stringify(multus(cluster)) });
  };
}

/** Its database is on the disk, so it outlives a reboot as on a real node. */
async function startOvs(cluster: Cluster): Promise<void> {
  await cluster.sh(`mkdir -p /run/openvswitch /var/lib/openvswitch /var/log/openvswitch
    [ -e /var/lib/openvswitch/conf.db ] || ovsdb-tool create /var/lib/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema`);
  await startOvsdb(cluster);
  await startVswitchd(cluster);
  await vsctl(
    cluster,
    '--may-exist',
    'add-br',
    'br-int',
    '--',
    'set',
    'Bridge',
    'br-int',
    'datapath_type=netdev',
    'fail-mode=standalone',
  );
  // After a reboot the bridge is in the database already, and ovs-vswitchd makes its netdev a moment later.
  await eventually('br-int', 20, () => cluster.run('ip', ['link', 'set', 'dev', 'br-int', 'up']));
}

async function startOvsdb(cluster: Cluster): Promise<void> {
  await cluster.background('ovsdb-server', [
    ...['ovsdb-server', '/var/lib/openvswitch/conf.db', '--remote=punix:/run/openvswitch/db.sock'],
    ...['--unixctl=/run/openvswitch/ovsdb-server.ctl', '--log-file=/var/log/openvswitch/ovsdb-server.log', '-vconsole:off'],
  ]);
  await eventually('ovsdb-server', 20, () => cluster.run('ovs-vsctl', ['--no-wait', '--timeout=5', 'init']));
}

export async function startVswitchd(cluster: Cluster): Promise<void> {
  await cluster.background('ovs-vswitchd', [
    ...['ovs-vswitchd', 'unix:/run/openvswitch/db.sock', '--disable-system'],
    ...['--unixctl=/run/openvswitch/ovs-vswitchd.ctl', '--log-file=/var/log/openvswitch/ovs-vswitchd.log', '-vconsole:off'],
  ]);
  await vsctl(cluster, 'init');
}

export async function vsctl(cluster: Cluster, ...args: readonly string[]): Promise<string> {
  return await cluster.run('ovs-vsctl', ['--timeout=20', ...args]);
}

/** Multus thin, as its file configuration: the admin's, not the one that its own DaemonSet would write. */
export function multus({ dir }: Pick<Cluster, 'dir'>): object {
  const bridge = {
    ...{ type: 'bridge', bridge: 'pods0', isGateway: true },
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.77.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
  };
  return {
    ...{ cniVersion: '1.0.0', name: 'multus-cni-network', type: 'multus', kubeconfig: join(dir, 'pki/admin.conf') },
    ...{ binDir: '/opt/cni/bin', confDir: '/etc/cni/net.d', cniDir: '/var/lib/cni/multus', logLevel: 'debug' },
    ...{ capabilities: { portMappings: true }, logFile: join(dir, 'log/multus.log') },
    delegates: [{ cniVersion: '1.0.0', name: 'default', plugins: [bridge] }],
  };
}

/** The NetworkAttachmentDefinition's definition, without which Multus knows no further networks. Source: the NPWG's standard, 1.3. */
export const networkAttachmentDefinitions = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'network-attachment-definitions.k8s.cni.cncf.io' },
  spec: {
    ...{ group: 'k8s.cni.cncf.io', scope: 'Namespaced' },
    names: {
      ...{
        plural: 'network-attachment-definitions',
        singular: 'network-attachment-definition',
        kind: 'NetworkAttachmentDefinition',
      },
      shortNames: ['net-attach-def'],
    },
    versions: [
      {
        ...{ name: 'v1', served: true, storage: true },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { config: { type: 'string' } } } },
          },
        },
      },
    ],
  },
};
