// Attachments whose pod is gone although its network namespace is still there: the runtime lost the sandbox, so no DEL will come, and
// most runtimes send no GC. What the API server and kubelet both say, twice, is believed.
import { join } from 'node:path';
import { Unavailable } from '../../host/base/errors.ts';
import type { PodName } from '../../host/kube/podresources.ts';
import type { Attachment } from '../attachment/attachment.ts';
import type { Context, FindLoss } from '../attachment/context.ts';

type Asked = Pick<Context, 'host' | 'pods' | 'settings'>;

/** Believed at the first look that comes `lostPodAfter` later than the one that found it: kubelet ends a deleted pod meanwhile, in its grace period. */
export function makeFindLoss(context: Asked, now: () => number = () => performance.now()): FindLoss {
  const patience = context.settings.lostPodAfter * 1000;
  const since = new Map<string, number>();
  return async (attachment, others) => {
    const why = await lossOf(context, attachment, others);
    const first = why === undefined ? undefined : (since.get(attachment.id) ?? now());
    if (first === undefined) since.delete(attachment.id);
    else since.set(attachment.id, first);
    if (first === undefined || now() - first < patience) return undefined;
    since.delete(attachment.id);
    return why;
  };
}

async function lossOf(context: Asked, attachment: Attachment, others: readonly Attachment[]): Promise<string | undefined> {
  const { pods } = context;
  const { podNamespace: namespace, podName: name, podUid: uid } = attachment.pod;
  if (!pods.configured || namespace === undefined || name === undefined || uid === undefined) return undefined;
  const words = `pod ${namespace}/${name}`;
  if (others.some((other) => succeeds(other, attachment)))
    return `${words} has another sandbox by now, and the runtime sent no DEL for this one`;
  try {
    if ((await pods.annotations({ namespace, name, uid })) !== undefined) return undefined;
    if (await isKubeletsOnly(context, { namespace, name })) return undefined;
    return `${words} is gone, and the runtime sent no DEL`;
  } catch (error) {
    if (error instanceof Unavailable) return undefined;
    throw error;
  }
}

/** Kubelet has one sandbox for a pod at a time. */
function succeeds(one: Attachment, other: Attachment): boolean {
  return (
    one.pod.podUid === other.pod.podUid &&
    one.network === other.network &&
    one.ifname === other.ifname &&
    one.containerId !== other.containerId &&
    one.since > other.since
  );
}

/** A static pod, which the API server may not know: kubelet lists it by name, and no other pod has this name. */
async function isKubeletsOnly({ host, pods, settings }: Asked, pod: PodName): Promise<boolean> {
  const { findPodDevices } = await import('../../host/kube/podresources.ts');
  const socket = join(settings.kubeletDir, 'pod-resources/kubelet.sock');
  return (await findPodDevices(host, pod, { socket })) !== undefined && (await pods.annotations(pod)) === undefined;
}
