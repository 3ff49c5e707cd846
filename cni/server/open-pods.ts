// Opens the source of pods' annotations on this node: the API server that the configuration names, or none.
import type { Logger } from '../../host/base/log.ts';
import { noPods, type Pods, watchPods } from '../../host/kube/pods.ts';
import type { Settings } from '../attachment/settings.ts';

export async function openPods({ kubernetes, nodeName }: Settings, log: Logger): Promise<Pods> {
  const inPod = process.env['KUBERNETES_SERVICE_HOST'] !== undefined;
  if (!kubernetes.disabled && (kubernetes.kubeconfig !== undefined || inPod)) {
    return await watchPods({ kubeconfig: kubernetes.kubeconfig, nodeName, log });
  }
  log.warn('no API server is configured: annotations of pods are not read');
  return noPods;
}
