// What smartnic has on a node, below `root`, for the uninstaller: the attachments that still need it, the files that are left, and their removal.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../host/base/json.ts';
import { ownIndex } from '../../host/files/own-files.ts';
import { socketName } from '../../host/kube/plugin-sockets.ts';

/** Folders in which an index names our device-info files and CDI specs (host/files/own-files.ts). */
const indexed = ['run/k8s.cni.cncf.io/devinfo/dp', 'run/cdi'];
const kubeletSockets = ['var/lib/kubelet/plugins_registry', 'var/lib/kubelet/device-plugins'];
/** Names that begin with a dot are drafts of an installation that was interrupted. */
const installed = {
  'etc/cni/net.d': /^(10-smartnic\.conflist|\.10-smartnic\.conflist\.new)$/,
  'opt/cni/bin': /^(smartnic|\.smartnic\.new)$/,
};
/** The sockets go last but one, before the state, so that a DEL in the meantime still finds the server. */
const sockets = 'run/smartnic';
const state = 'var/lib/smartnic';

/** The attachments that the server still has, as `<namespace>/<pod> <interface>`. While there is one, the node must not be cleared. */
export function attachments(root: string): readonly string[] {
  const folder = join(root, state, 'attachments');
  return names(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => describe(join(folder, name)));
}

/** All our files in the order of their removal: first what calls us, last what we remember. */
export function leftovers(root: string): readonly string[] {
  const inFolders = [...Object.entries(installed), ...kubeletSockets.map((folder) => [folder, socketName] as const)].flatMap(
    ([folder, ours]) =>
      names(join(root, folder))
        .filter((name) => ours.test(name))
        .map((name) => join(root, folder, name)),
  );
  const ofIndexes = indexed
    .map((folder) => join(root, folder))
    .flatMap((folder) => [...readIndex(folder).map((name) => join(folder, name)), join(folder, ownIndex)]);
  return [...inFolders, ...ofIndexes, join(root, sockets), join(root, state)].filter((path) => existsSync(path));
}

export function remove(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { recursive: true, force: true });
}

function readIndex(folder: string): readonly string[] {
  return (readIfThere(join(folder, ownIndex)) ?? '').split('\n').filter((name) => name !== '' && !name.includes('/'));
}

function describe(path: string): string {
  const [first = '', ...more] = (readIfThere(path) ?? '').split('\n');
  const attachment = recordIn(recordOf(first), 'attachment');
  if (attachment === undefined) return path;
  const { podNamespace, podName } = recordIn(attachment, 'pod') ?? {};
  const name = podName === undefined ? attachment['containerId'] : `${podNamespace}/${podName}`;
  // The parts that the CNI server could not remove, by its last note (cni/attachment/entry.ts).
  const left = recordOf(more.findLast((line) => line.includes('"left"')) ?? '')?.['left'];
  const parts = (Array.isArray(left) ? left : []).map((part) =>
    part === 'addresses' ? `addresses (IPAM plugin ${recordIn(attachment, 'ipam')?.['type']})` : part,
  );
  return `${name} ${attachment['ifname']}${parts.length === 0 ? '' : `, deleted but for its ${parts.join(', ')}`}`;
}

function recordIn(record: Readonly<Record<string, unknown>> | undefined, key: string) {
  const value = record?.[key];
  return isRecord(value) ? value : undefined;
}

function recordOf(text: string) {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function names(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
