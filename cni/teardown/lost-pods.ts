// Attachments whose pod is gone although its network namespace still exists. The runtime lost the sandbox, so no DEL will come, and most
// runtimes send no GC. The API server, kubelet and the kernel must all have forgotten the pod, in two looks.
import { join } from 'node:path';
import { Unavailable } from '../../host/base/errors.ts';
import { hasProcesses } from '../../host/kernel/pod-cgroup.ts';
import type { PodName } from '../../host/kube/pod-name.ts';
import { cables } from '../../vnic/index.ts';
import type { Attachment } from '../attachment/attachment.ts';
import type { Context, FindLoss } from '../attachment/context.ts';
import type { JournalView } from '../attachment/journal.ts';

type Asked = Pick<Context, 'host' | 'pods' | 'settings' | 'bootId'> & { readonly journal: Pick<JournalView, 'find'> };

/** A loss counts only when two looks, at least `lostPodAfter` apart, both find it. In between, kubelet ends a deleted pod in its grace period. */
export function makeFindLoss(context: Asked, now: () => number = () => performance.now()): FindLoss {
  const since = new Map<string, number>();
  const look = async (attachment: Attachment, others: readonly Attachment[]) => {
    const why = await lossOf(context, attachment, others);
    const first = why === undefined ? undefined : (since.get(attachment.id) ?? now());
    const patience = context.settings.lostPodAfter * 1000;
    return { why, first, counts: first !== undefined && now() - first >= patience };
  };
  const find = async (attachment: Attachment, others: readonly Attachment[]) => {
    try {
      const { why, first, counts } = await look(attachment, others);
      if (first === undefined || counts) since.delete(attachment.id);
      else since.set(attachment.id, first);
      return counts ? why : undefined;
    } catch (error) {
      since.delete(attachment.id);
      throw error;
    }
  };
  const peek = async (attachment: Attachment, others: readonly Attachment[]) => {
    const { why, counts } = await look(attachment, others);
    return counts ? why : undefined;
  };
  return Object.assign(find, { peek });
}

async function lossOf(context: Asked, attachment: Attachment, others: readonly Attachment[]): Promise<string | undefined> {
  const { host, pods } = context;
  const { podNamespace: namespace, podName: name, podUid: uid } = attachment.pod;
  if (!pods.configured || namespace === undefined || name === undefined || uid === undefined) return undefined;
  const words = `pod ${namespace}/${name}`;
  const newer = await livingSuccessors(context, attachment, others);
  if (newer.some(({ pod }) => pod.podUid === uid))
    return `${words} has another sandbox by now, and the runtime sent no DEL for this one`;
  // While pods are not watched, each pod would be one question more.
  const problem = pods.problem();
  if (problem !== undefined) throw new Unavailable(problem);
  if ((await pods.annotations({ namespace, name, uid })) !== undefined) return undefined;
  // A pod that was deleted by force runs on here until its grace period ends, though nobody else knows it.
  if (hasProcesses(host, uid)) return undefined;
  if (newer.length === 0 && (await isKubelets(context, { namespace, name }))) return undefined;
  return `${words} is gone, and the runtime sent no DEL`;
}

/**
 * Newer attachments of the same interface that live. They belong to another sandbox of this pod (kubelet has only one sandbox for a pod at a
 * time), or to another pod of the same name.
 */
async function livingSuccessors(
  { host, journal, bootId }: Asked,
  attachment: Attachment,
  others: readonly Attachment[],
): Promise<readonly Attachment[]> {
  const living: Attachment[] = [];
  for (const other of others.filter((each) => succeeds(each, attachment))) {
    const lives =
      other.bootId === bootId && journal.find(other.id)?.phase === 'added' && (await cables[other.vnicType].alive(host, other));
    if (lives) living.push(other);
  }
  return living;
}

function succeeds(one: Attachment, other: Attachment): boolean {
  return (
    one.pod.podNamespace === other.pod.podNamespace &&
    one.pod.podName === other.pod.podName &&
    one.network === other.network &&
    one.ifname === other.ifname &&
    one.containerId !== other.containerId &&
    one.bootId === other.bootId &&
    one.began > other.began
  );
}

/**
 * Kubelet lists pods only by name. It speaks for its own node, so its word counts whatever the API server has under that name: nothing (a static
 * pod), another UID (a mirror pod that is not up to date), or a successor on another node.
 */
async function isKubelets({ host, settings }: Asked, pod: PodName): Promise<boolean> {
  const { findPodDevices } = await import('../../host/kube/podresources.ts');
  const socket = join(settings.kubeletDir, 'pod-resources/kubelet.sock');
  return (await findPodDevices(host, pod, { socket })) !== undefined;
}
