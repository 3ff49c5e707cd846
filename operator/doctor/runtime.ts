// Do the container runtime, kubelet and the API server find each other and us?
import { join } from 'node:path';
import { openPods } from '../../cni/server/open-pods.ts';
import { messageOf } from '../../host/base/errors.ts';
import { findContent } from '../../host/files/plain.ts';
import { findSocketIdentity } from '../../host/files/unix-socket.ts';
import { listPodDevices } from '../../host/kube/podresources.ts';
import { isExecutable } from '../../host/program/executable.ts';
import { about, type Examination } from './finding.ts';

export const examineExecutable: Examination = async ({ cniBin, ours }) => {
  const { ok, warn, fail } = about('executable');
  const path = join(cniBin, 'smartnic');
  const install = `cp dist/smartnic ${cniBin}/.smartnic && mv ${cniBin}/.smartnic ${path}; another directory: --cni-bin`;
  const there = read(path);
  if (there === undefined) return [fail(`${path} is not there: the runtime can't start us`, install)];
  if (!isExecutable(path)) return [fail(`${path} is not executable`, `chmod 755 ${path}`)];
  const own = ours === undefined ? undefined : read(ours);
  if (own !== undefined && !own.equals(there)) return [warn(`${path} is of another version than this`, install)];
  return [ok(path)];
};

export const examineKubelet: Examination = async ({ host, settings: { kubeletDir } }) => {
  const { ok, warn } = about('kubelet');
  const how = "start kubelet; in a container mount the directory; another one: `kubeletDir` in the node's configuration";
  const missing = ['pod-resources/kubelet.sock', 'device-plugins/kubelet.sock']
    .map((name) => join(kubeletDir, name))
    .filter((path) => findSocketIdentity(join(host.root, path)) === undefined);
  if (missing.length > 0) return [warn(`${missing.join(' and ')} missing: no VF can be given to a pod`, how)];
  try {
    const pods = await listPodDevices(host, { socket: `${kubeletDir}/pod-resources/kubelet.sock`, timeout: 3000 });
    return [ok(`tells which pod has which device (${pods.length} pods)`)];
  } catch (error) {
    return [warn(messageOf(error), how)];
  }
};

export const examineApiServer: Examination = async ({ host, settings }) => {
  const { ok, warn, fail } = about('API server');
  if (settings.kubernetes.disabled) return [ok('not asked (kubernetes.disabled): annotations of pods are not read')];
  try {
    const pods = await openPods(settings, host.log);
    using _ = { [Symbol.dispose]: () => pods.close() };
    if (!pods.configured)
      return [
        warn('none is configured: annotations of pods are not read', "set kubernetes.kubeconfig in the node's configuration"),
      ];
    // Any name will do. The answer that there is no such pod is an answer, too.
    await pods.annotations({ namespace: 'default', name: 'smartnic-doctor' });
    return [ok('pods can be read')];
  } catch (error) {
    return [fail(messageOf(error), 'its address in the kubeconfig, the network to it; forbidden: get, list and watch on pods')];
  }
};

function read(path: string): Buffer | undefined {
  try {
    return findContent(path);
  } catch {
    return undefined;
  }
}
