// Everything that deploy/ can apply, as a real API server sees it: it takes every object, and knows every field of it.
import { join } from 'node:path';
import { kustomizations, type Manifest, readManifests, render, renderWith } from '../support/manifests.ts';
import { type Cluster, eventually, startCluster } from './cluster.ts';
import { networkAttachmentDefinitions, prepareNode } from './node.ts';

/** Of the Prometheus operator and of cert-manager, which are not here. */
const foreign = ['ServiceMonitor', 'Certificate', 'Issuer'];

describe('an API server', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ prepare: prepareNode('none') });
    await cluster.apply(networkAttachmentDefinitions);
  });
  after(async () => await cluster?.[Symbol.asyncDispose]());

  const take = async (manifests: readonly Manifest[]) => {
    const input = manifests
      .filter(({ kind }) => !foreign.includes(kind))
      .map((each) => JSON.stringify(each))
      .join('\n---\n');
    await eventually('it takes them', 10, () =>
      cluster.run('kubectl', ['apply', '--dry-run=server', '--validate=strict', '-f', '-'], { input }),
    );
  };

  for (const name of kustomizations()) it(`takes ${join('deploy', name)}`, () => take(render(name)));

  it('takes the base with all components', () => take(renderWith('forwarder', 'monitoring', 'cdi', 'admission') ?? []));

  it('takes components/admission with the certificate of cert-manager', () =>
    take(renderWith('admission', 'admission-cert-manager') ?? []));

  for (const name of ['normal', 'direct', 'virtio-forwarder', 'all-three'])
    it(`takes deploy/examples/${name}.yaml`, () => take(readManifests(`examples/${name}.yaml`)));
});
