// Starts the CNI server in machine tests with the rights that deploy/base gives its container: those capabilities and no way to more, a
// read-only root, a read-only /proc/sys, and the writable mounts. Two things are missing here: the runtime's seccomp profile and a process
// namespace of its own. test/cluster has the real container.
import { readManifests } from './manifests.ts';

const [daemonSet] = readManifests('base/daemonset.yaml');
const { containers, volumes } = daemonSet.spec.template.spec;
const container = containers.find(({ name }: { readonly name: string }) => name === 'cni');

/** As the manifest writes them, e.g. `NET_ADMIN`. */
export const capabilities: readonly string[] = container.securityContext.capabilities.add;

export interface Shipped {
  /** Folders of the test that stand for writable ones of the node. */
  readonly writable: readonly string[];
  /** Default: those of the manifest. */
  readonly rights?: readonly string[];
  /** A folder that stands for the machine's /sys/bus/pci. */
  readonly pci?: string;
  /** False: as in a manifest that lacks the mount of the node's /proc/sys/net. */
  readonly procSysNet?: boolean;
}

/** A program and its arguments, behind which the server's own come. */
export function asShipped({ writable, rights = capabilities, pci, procSysNet = true }: Shipped): readonly string[] {
  const set = ['-all', ...rights.map((name) => `+${name.toLowerCase()}`)].join(',');
  const confine = ['setpriv', '--bounding-set', set, '--inh-caps', '-all', '--no-new-privs'];
  return [
    'unshare',
    '--mount',
    '--propagation',
    'slave',
    'sh',
    '-euc',
    mounts([...writable, ...ofNode()], { pci, procSysNet }),
    'sh',
    ...confine,
  ];
}

/** Folders of the node that the manifest mounts to be written, as far as the container names them as the node does. */
function ofNode(): readonly string[] {
  const pathOf = (volume: string) => volumes.find(({ name }: { readonly name: string }) => name === volume)?.hostPath?.path;
  const mounted: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[] =
    container.volumeMounts;
  return mounted
    .filter(({ name, mountPath, readOnly }) => !readOnly && pathOf(name) === mountPath)
    .map(({ mountPath }) => mountPath);
}

/** A bind mount of a folder on itself stays writable when the file system around it becomes read-only. */
function mounts(
  folders: readonly string[],
  { pci, procSysNet }: { readonly pci: string | undefined; readonly procSysNet: boolean },
): string {
  return [
    'mount -t tmpfs none /mnt',
    'mkdir -p /mnt/proc/sys/net',
    ...(procSysNet ? ['mount --bind /proc/sys/net /mnt/proc/sys/net'] : []),
    'mount --bind /proc/sys /proc/sys',
    'mount -o remount,bind,ro /proc/sys',
    // Kubelet would make all of these folders. Those in /run are gone after a reboot; none of the others stays behind.
    ...folders.map((folder) => (folder.startsWith('/run/') ? `mkdir -p ${folder}` : ':')),
    ...folders.map((folder) => `[ ! -d ${folder} ] || mount --rbind ${folder} ${folder}`),
    ...(pci === undefined ? [] : [`mount --bind ${pci} /sys/bus/pci`]),
    'mount -o remount,bind,ro /',
    'exec "$@"',
  ].join('\n');
}
