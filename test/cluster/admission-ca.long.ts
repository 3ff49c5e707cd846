// A new CA of the admission webhook on a real API server, while pods are created.
import { type Cluster, eventually } from './cluster.ts';
import { startMultusCluster, untilAdmissionRuns } from './deployment.ts';
import { network } from './pods.ts';
import { losesNone } from './rotation.ts';

const pools = 'pools: [{ name: netdev, vnicType: direct, driver: kernel, selectors: [{ rootDevices: ["0000:41:00.0"] }] }]\n';

describe('a cluster with components/admission, whose CA is replaced', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startMultusCluster({ 'pools.yaml': pools }, { components: ['admission'] });
    await untilAdmissionRuns(cluster);
    await eventually('the definition is served', 20, () =>
      cluster.apply(network('vf', { vnicType: 'direct', driver: 'kernel', representor: 'none' })),
    );
  });
  after(async () => await cluster?.[Symbol.asyncDispose]());

  it('loses no creation of 500 meanwhile', async () => {
    await losesNone(cluster, 'ca.key');
  });
});
