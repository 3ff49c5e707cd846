// Which programs a node is made of, and how the Go toolchain makes each. Versions stand in go/go.mod, checksums in go/go.sum.

export interface Build {
  /** Import paths of main packages. */
  readonly packages: readonly string[];
  readonly tags?: readonly string[];
  /** runc enters namespaces in C, before Go's runtime starts. */
  readonly cgo?: boolean;
  /** The name of the one program; absent: each is named after its package. */
  readonly name?: string;
  readonly ldflags?: string;
}

/** Without a version kubelet says v0.0.0, which clients refuse. @param version - `1.36.3` */
export function versionFlags(version: string): string {
  const [major, minor] = version.split('.');
  return [
    ...['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((at) => [
      `-X ${at}.gitVersion=v${version}`,
      `-X ${at}.gitMajor=${major}`,
      `-X ${at}.gitMinor=${minor}`,
      `-X ${at}.gitTreeState=clean`,
    ]),
  ].join(' ');
}

export const kubelet = 'k8s.io/kubernetes/cmd/kubelet';

/** In one module, so that what they share is compiled once. */
export function builds(version: string): readonly Build[] {
  const containerd = 'github.com/containerd/containerd/v2/cmd';
  return [
    {
      packages: [
        ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'].map(
          (name) => `k8s.io/kubernetes/cmd/${name}`,
        ),
        kubelet,
        ...['containerd', 'containerd-shim-runc-v2', 'ctr'].map((name) => `${containerd}/${name}`),
        'github.com/containernetworking/cni/cnitool',
        'gopkg.in/k8snetworkplumbingwg/multus-cni.v4/cmd/multus',
      ],
      tags: ['no_btrfs', 'no_zfs', 'no_devmapper'],
      ldflags: versionFlags(version),
    },
    { packages: ['go.etcd.io/etcd/server/v3'], name: 'etcd' },
    {
      packages: ['github.com/opencontainers/runc'],
      tags: ['seccomp', 'netgo', 'osusergo'],
      cgo: true,
      ldflags: '-linkmode=external -extldflags=-static',
    },
  ];
}
