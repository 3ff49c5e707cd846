// The programs of the node, with their command lines and configurations. Every setting that is not a default has been needed.
import { join } from 'node:path';
import { addresses, nodeName } from './addresses.ts';
import { images } from './images.ts';

export interface Place {
  /** The cluster's folder. */
  readonly dir: string;
  /** The node's. */
  readonly address: string;
  /** Name of its cgroups. */
  readonly cgroup: string;
  /** Path of kubelet's program. */
  readonly kubelet: string;
}

export type Component = keyof typeof components;

/** Command lines, as seen in the node. */
export const components = {
  etcd: ({ dir }: Place) => ['etcd', '--data-dir', join(dir, 'etcd'), '--unsafe-no-fsync', '--log-level=warn'],

  apiserver: ({ dir }: Place) => {
    const pki = (name: string) => join(dir, 'pki', name);
    return [
      'kube-apiserver',
      ...['--etcd-servers=http://127.0.0.1:2379', '--bind-address=0.0.0.0', '--secure-port=443'],
      ...[`--advertise-address=${addresses.node}`, `--service-cluster-ip-range=${addresses.services}`],
      ...[`--tls-cert-file=${pki('apiserver.crt')}`, `--tls-private-key-file=${pki('apiserver.key')}`],
      ...[`--client-ca-file=${pki('ca.crt')}`, `--cert-dir=${join(dir, 'pki')}`],
      ...[`--kubelet-client-certificate=${pki('admin.crt')}`, `--kubelet-client-key=${pki('admin.key')}`],
      ...[`--kubelet-certificate-authority=${pki('ca.crt')}`, '--kubelet-preferred-address-types=InternalIP'],
      ...[`--service-account-key-file=${pki('sa.pub')}`, `--service-account-signing-key-file=${pki('sa.key')}`],
      ...['--service-account-issuer=https://kubernetes.default.svc', '--endpoint-reconciler-type=none'],
      // Webhooks are called at their pods' own addresses: nobody makes the address of a Service work here.
      '--enable-aggregator-routing=true',
      ...[
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        '--allow-privileged',
        '--profiling=false',
      ],
    ];
  },

  /** Without it a new node keeps the taint that lets nothing be scheduled. Only the controllers that pods and DaemonSets need. */
  'controller-manager': ({ dir }: Place) => [
    'kube-controller-manager',
    ...[`--kubeconfig=${join(dir, 'pki/admin.conf')}`, '--leader-elect=false', '--bind-address=127.0.0.1'],
    ...[`--service-account-private-key-file=${join(dir, 'pki/sa.key')}`, `--root-ca-file=${join(dir, 'pki/ca.crt')}`],
    `--controllers=${[
      ...['daemonset', 'serviceaccount', 'root-ca-certificate-publisher', 'node-lifecycle', 'taint-eviction', 'namespace'],
      ...[
        'pod-garbage-collector',
        'garbage-collector',
        'replicaset',
        'deployment',
        'clusterrole-aggregation',
        'serviceaccount-token',
        ...['endpointslice', 'resourcequota', 'disruption'],
      ],
    ]
      .map((name) => `${name}-controller`)
      .join(',')}`,
  ],

  scheduler: ({ dir }: Place) => [
    'kube-scheduler',
    ...[`--kubeconfig=${join(dir, 'pki/admin.conf')}`, '--leader-elect=false', '--bind-address=127.0.0.1'],
  ],

  containerd: ({ dir }: Place) => ['containerd', '--config', join(dir, 'etc/containerd.toml')],

  kubelet: ({ dir, kubelet, address }: Place) => [
    kubelet,
    ...[`--config=${join(dir, 'etc/kubelet.json')}`, `--kubeconfig=${join(dir, 'pki/kubelet.conf')}`],
    ...[`--hostname-override=${nodeName}`, `--node-ip=${address}`, '--v=2'],
  ],
} as const satisfies Readonly<Record<string, (place: Place) => readonly string[]>>;

/** By name of the file in `etc/`. */
export function configurations(place: Place): Readonly<Record<string, string>> {
  return { 'containerd.toml': containerdConfig(place), 'kubelet.json': JSON.stringify(kubeletConfig(place), undefined, 2) };
}

/** containerd can't make overlays on an overlay, so its images lie outside. Its state is in /run, because a reboot loses it. */
function containerdConfig({ dir }: Place): string {
  const runtime = "plugins.'io.containerd.cri.v1.runtime'";
  return `version = 3
root = '${dir}/containerd'
state = '/run/containerd'

[grpc]
  address = '/run/containerd/containerd.sock'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${images.pause}'

# Lowering a process's oom_score_adj needs CAP_SYS_RESOURCE, which root of a machine like this one may lack.
[${runtime}]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [${runtime}.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [${runtime}.containerd.runtimes.runc.options]
      SystemdCgroup = false
  [${runtime}.cni]
    bin_dirs = ['/opt/cni/bin']
    conf_dir = '/etc/cni/net.d'
    max_conf_num = 1
    use_internal_loopback = true
`;
}

function kubeletConfig({ dir, cgroup, address }: Place): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    // The API server dials the node's address for logs and exec.
    address,
    readOnlyPort: 0,
    tlsCertFile: join(dir, 'pki/kubelet.crt'),
    tlsPrivateKeyFile: join(dir, 'pki/kubelet.key'),
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: join(dir, 'pki/ca.crt') },
    },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    cgroupDriver: 'cgroupfs',
    // Kubelet removes pods' cgroups that it does not know, so each cluster has its own.
    cgroupRoot: `/${cgroup}`,
    failCgroupV1: false,
    oomScoreAdj: 0,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    localStorageCapacityIsolation: false,
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '100Mi' },
    nodeStatusUpdateFrequency: '3s',
    syncFrequency: '10s',
    resolvConf: '',
    podLogsDir: join(dir, 'podlogs'),
    volumePluginDir: join(dir, 'kubelet/volume-plugins'),
  };
}
