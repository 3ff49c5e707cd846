// NetworkAttachmentDefinitions as they are kept. How they are followed is in test/unit/admission/process.test.ts.
import { deepEqual } from 'node:assert/strict';
import { pino } from 'pino';
import { watchNetworks } from '../../../../host/kube/networks.ts';
import { makeCluster, networkPath } from '../../../support/admission-server.ts';

describe('a network from the API server', () => {
  it('is kept without what nobody reads', async () => {
    await using api = makeCluster();
    const annotations = { 'k8s.v1.cni.cncf.io/resourceName': 'smartnic.io/direct' };
    const kept = { metadata: { name: 'vf', namespace: 'shop', annotations }, spec: { config: '{}' } };
    const copy = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(kept) };
    const more = { labels: { tenant: 'a' }, managedFields: [{ manager: 'kubectl' }], annotations: { ...annotations, ...copy } };
    api.put(networkPath('shop', 'vf'), { ...kept, metadata: { ...kept.metadata, ...more } });
    const networks = watchNetworks({ url: await api.start(), credentials: '' }, { log: pino({ level: 'silent' }) });
    deepEqual(await networks.find({ namespace: 'shop', name: 'vf' }), kept);
    networks.close();
  });
});
