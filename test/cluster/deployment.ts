// Our deployment on a cluster: what an admin does by hand with deploy/, and nothing else.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { archiveOf } from '../../tools/image/names.ts';
import { top } from './cache.ts';
import { type Cluster, eventually, startCluster } from './cluster.ts';
import { makeNic } from './nic.ts';
import { networkAttachmentDefinitions, prepareNode } from './node.ts';
import { kubectlPatiently } from './pods.ts';

export type Overlay = 'multus' | 'main-network' | 'classic-node';

/** Files of our ConfigMap as an admin writes them for the own nodes: `pools.yaml`, `config.yaml`. */
export type OurFiles = Readonly<Record<string, string>>;

/** What else an admin's kustomization has: names of deploy/components, and strategic merge patches. */
export interface More {
  readonly components?: readonly string[];
  readonly patches?: readonly object[];
}

const ours = ['-n', 'kube-system'];
export const serviceAccount = 'system:serviceaccount:kube-system:smartnic';

export async function importOurImage(cluster: Cluster): Promise<void> {
  const archive = archiveOf('smartnic');
  if (!existsSync(archive)) throw new Error(`there is no ${archive}; make it by: npm run build:image`);
  await cluster.importImage(archive);
}

/** A Ready node with Multus and a NIC that is a tree of files, on which smartnic runs with these files. */
export async function startMultusCluster(files: OurFiles, more: More = {}): Promise<Cluster> {
  await using undo = new AsyncDisposableStack();
  using nic = makeNic();
  const cluster = undo.use(await startCluster({ prepare: prepareNode('multus'), sys: nic.folders }));
  await cluster.nodeReady();
  await cluster.apply(networkAttachmentDefinitions);
  await importOurImage(cluster);
  await deploy(cluster, 'multus', files, more);
  undo.move();
  return cluster;
}

/** `kubectl apply -k`, and waits until it runs. */
export async function deploy(cluster: Cluster, overlay: Overlay, files: OurFiles = {}, more: More = {}): Promise<void> {
  await cluster.kubectl('apply', '-k', await customise(cluster, overlay, files, more));
  await untilRolledOut(cluster);
}

const uninstaller = join(top, 'deploy/uninstall');

/** The first step of taking it off: nothing new is plugged, pods that run stay connected. Done when the last has left (`untilRolledOut`). */
export async function beginUninstall(cluster: Cluster): Promise<void> {
  await cluster.kubectl('apply', '-k', uninstaller);
}

export async function endUninstall(cluster: Cluster, overlay: Overlay): Promise<void> {
  await untilRolledOut(cluster);
  for (const folder of [uninstaller, await customise(cluster, overlay)])
    await cluster.run('kubectl', ['delete', '-k', folder, '--ignore-not-found', '--timeout=90s'], { timeout: 100_000 });
}

/** Waits until both replicas of components/admission are Ready, so have a certificate. */
export async function untilAdmissionRuns(cluster: Cluster): Promise<void> {
  const patience = `--timeout=${cluster.patience}s`;
  try {
    await kubectlPatiently(cluster, ...ours, 'rollout', 'status', 'deployment/smartnic-admission', patience);
  } catch (error) {
    const selector = '--selector=app=smartnic-admission';
    const said = [await cluster.kubectl(...ours, 'describe', 'pod', selector), await cluster.kubectl(...ours, 'logs', selector)];
    throw new Error(said.join('\n'), { cause: error });
  }
}

/** `kubectl rollout restart`: the same steps as for a new version. */
export async function restartOurs(cluster: Cluster): Promise<void> {
  await cluster.kubectl(...ours, 'rollout', 'restart', 'daemonset/smartnic');
}

export async function untilRolledOut(cluster: Cluster): Promise<void> {
  try {
    await eventually('our DaemonSet', cluster.patience, () =>
      kubectlPatiently(cluster, ...ours, 'rollout', 'status', 'daemonset/smartnic', `--timeout=${cluster.patience}s`),
    );
  } catch (error) {
    throw new Error(await cluster.kubectl(...ours, 'describe', 'pod', '--selector=app=smartnic'), { cause: error });
  }
}

/** An admin's own kustomization upon one of ours. */
async function customise(
  cluster: Cluster,
  overlay: Overlay,
  data: OurFiles = {},
  { components = [], patches = [] }: More = {},
): Promise<string> {
  const folder = join(cluster.dir, 'deploy');
  await mkdir(folder, { recursive: true });
  const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'smartnic', namespace: 'kube-system' }, data };
  const kustomization = {
    resources: [relative(folder, join(top, 'deploy/overlays', overlay))],
    components: components.map((name) => relative(folder, join(top, 'deploy/components', name))),
    patches: [...(Object.keys(data).length === 0 ? [] : [configMap]), ...patches].map((each) => ({
      patch: JSON.stringify(each),
    })),
  };
  await writeFile(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
  return folder;
}
