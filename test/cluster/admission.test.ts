// The admission webhook on a real API server, as a person with kubectl meets it. The VFs of this suite are a tree of files (nic.ts): pods with
// one are scheduled, but can't be plugged; vfs.test.ts plugs them.
import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, eventually } from './cluster.ts';
import { startMultusCluster, untilAdmissionRuns } from './deployment.ts';
import { deployment, eventWith, network, pod, remove, untilReady } from './pods.ts';
import { creating, losesNone, secretOf } from './rotation.ts';

const [direct, virtio] = ['smartnic.io/direct', 'smartnic.io/virtio-forwarder'] as const;
const pools = `pools:
  - { name: netdev, vnicType: direct, driver: kernel, selectors: [{ rootDevices: ["0000:41:00.0"] }] }
  - { name: relayed, vnicType: virtio-forwarder, selectors: [{ rootDevices: ["0000:41:00.1"] }] }
`;
const account = 'system:serviceaccount:kube-system:smartnic-admission';
const ours = ['-n', 'kube-system'] as const;
const mixed = { networks: 'plain@net1,plain@net2,plain@net3', vnicType: `{"net2":"direct","net3":"virtio-forwarder"}` };

describe('a cluster with components/admission', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await startMultusCluster({ 'pools.yaml': pools }, { components: ['admission'] });
    await untilAdmissionRuns(cluster);
    await eventually('the definition is served', 20, () =>
      cluster.apply(
        network('plain', { ipam: { type: 'host-local', ranges: [[{ subnet: '10.1.0.0/24' }]] } }),
        network('veth', { allowedVnicTypes: ['normal'] }),
        network('vf', { vnicType: 'direct', driver: 'kernel', representor: 'none' }),
      ),
    );
  });
  after(async () => await cluster?.[Symbol.asyncDispose]());

  /** What kubectl says, in both its voices. */
  const said = async (object: object, ...more: readonly string[]) =>
    await cluster.sh(`kubectl apply -f - ${more.join(' ')} 2>&1 || true`, { input: JSON.stringify(object) });
  const limitsOf = async (name: string) => {
    const { spec } = await cluster.get('-n', 'test', 'pod', name);
    return spec.containers[0].resources.limits ?? {};
  };

  it('makes pods of a Deployment ask for what their annotations say, and they are scheduled to the node with VFs', async () => {
    await cluster.apply(deployment('web', 2, mixed));
    const pods = await eventually('two pods on the node', 30, async () => {
      const { items } = await cluster.get('-n', 'test', 'pod', '--selector=app=web');
      assert.deepEqual(
        items.map(({ spec }: { spec: { nodeName?: string } }) => spec.nodeName),
        ['node1', 'node1'],
      );
      return items;
    });
    for (const { spec } of pods) {
      const [{ resources }] = spec.containers;
      assert.deepEqual(resources.limits, { [direct]: '1', [virtio]: '1' });
      assert.deepEqual(resources.requests, resources.limits);
    }
    await cluster.kubectl('-n', 'test', 'delete', 'deployment', 'web', '--wait=false');
    await cluster.kubectl('-n', 'test', 'delete', 'pod', '--selector=app=web', '--force', '--timeout=60s');
  });

  it('shows what it would do without doing it', async () => {
    const shown = await said(pod('dry', { networks: 'vf@net1' }), '--dry-run=server', '-o', 'yaml');
    assert.match(shown, /limits:\s+smartnic.io\/direct: "1"/);
  });

  it('lets a pod of normal ports alone, which is Ready as ever', async () => {
    await cluster.apply(pod('normal', { networks: 'plain@net1' }));
    assert.deepEqual(await limitsOf('normal'), {});
    await untilReady(cluster, 'normal');
    await remove(cluster, 'normal');
  });

  it('refuses at kubectl apply what would not be plugged, in the words of the CNI server', async () => {
    const told = [
      [
        pod('p', { networks: 'veth', vnicType: 'direct' }),
        /denied the request: vnicType: network "veth" does not allow "direct"/,
      ],
      [
        pod('p', { networks: 'plain', vnicType: 'dirct' }),
        /smartnic.io\/vnic-type: unknown vnic type "dirct"; write one of normal, direct/,
      ],
      [pod('p', { networks: 'gone', vnicType: 'direct' }), /there is no NetworkAttachmentDefinition test\/gone/],
      [network('n', { vlna: 5 }), /denied the request: unknown key "vlna"; known keys: /],
      [
        network('n', { vnicType: 'direct', resource: 'example.com/x' }, direct),
        /is "smartnic.io\/direct", but the network takes example.com\/x/,
      ],
    ] as const;
    for (const [object, words] of told) assert.match(await said(object), words);
  });

  it('warns at kubectl apply of what may not be meant, and lets it pass', async () => {
    assert.match(
      await said(pod('p', { networks: 'vf', devices: { [direct]: 3 } }), '--dry-run=server'),
      /Warning: resources.limits ask for 3/,
    );
    assert.match(
      await said(pod('q', { networks: 'gone' }), '--dry-run=server'),
      /Warning: there is no NetworkAttachmentDefinition test\/gone/,
    );
    const shown = await said(network('d', { vnicType: 'direct', resource: 'example.com/x' }), '--dry-run=server', '-o', 'yaml');
    assert.match(shown, /Warning: no pool offers example.com\/x/);
    assert.match(shown, /k8s.v1.cni.cncf.io\/resourceName: example.com\/x/);
  });

  it('makes a quota of VFs work: it counts what no author wrote', async () => {
    const hard = { [`requests.${direct}`]: '1' };
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'vfs', namespace: 'test' },
      spec: { hard },
    });
    await eventually('the quota is counted', 30, async () => {
      const { status } = await cluster.get('-n', 'test', 'resourcequota', 'vfs');
      assert.equal(status?.used?.[`requests.${direct}`], '0');
    });
    assert.match(await said(pod('first', { networks: 'vf' })), /created/);
    assert.match(await said(pod('second', { networks: 'vf' })), /exceeded quota: vfs, requested: requests.smartnic.io\/direct=1/);
    await cluster.kubectl('-n', 'test', 'delete', 'resourcequota/vfs', 'pod/first', '--force');
  });

  it('may read networks, keep what has its own name, and nothing else', async () => {
    const can = async (...words: readonly string[]) =>
      (await cluster.sh(`kubectl auth can-i ${words.join(' ')} --as=${account} 2>/dev/null || true`)) === 'yes';
    const name = 'smartnic-admission';
    const may = [
      ['list', 'network-attachment-definitions', '-A'],
      ['update', `secret/${name}`, ...ours],
      ['update', `lease/${name}`, ...ours],
      ['patch', `mutatingwebhookconfiguration/${name}`],
    ];
    const not = [
      ['get', 'pods', '-A'],
      ['get', 'secrets', ...ours],
      ['get', 'secret/other', ...ours],
      ['create', 'secrets', ...ours],
      ['get', `secret/${name}`, '-n', 'default'],
      ['update', 'network-attachment-definitions', '-A'],
      ['patch', 'validatingwebhookconfiguration/other'],
      ['create', 'validatingwebhookconfigurations'],
      ['delete', `mutatingwebhookconfiguration/${name}`],
      ['list', 'nodes'],
    ];
    for (const words of may) assert.ok(await can(...words), words.join(' '));
    for (const words of not) assert.ok(!(await can(...words)), words.join(' '));
  });

  it('loses no creation of 500 while it takes over a new certificate', async () => {
    await losesNone(cluster, 'tls.crt');
  });

  it('loses no creation while its replicas are replaced', async () => {
    const state = { done: false };
    const restarted = (async () => {
      await cluster.kubectl(...ours, 'rollout', 'restart', 'deployment/smartnic-admission');
      await untilAdmissionRuns(cluster);
      await sleep(7000); // until the last one has ended
      state.done = true;
    })();
    const { created, without } = await creating(cluster, 200, () => state.done).finally(() => restarted);
    console.log(`      ${created} creations`);
    assert.equal(without, 0);
  });

  it('stops nobody when it is away: pods come, and one without its reservation is refused at ADD with words', async () => {
    await cluster.kubectl(...ours, 'scale', 'deployment/smartnic-admission', '--replicas=0');
    await cluster.kubectl(
      ...ours,
      'delete',
      'pod',
      '--selector=app=smartnic-admission',
      '--force',
      '--grace-period=0',
      '--timeout=30s',
    );
    await cluster.apply(pod('late', { networks: 'plain@net1' }), pod('poor', { networks: 'vf@net1' }));
    await untilReady(cluster, 'late');
    await eventWith(
      cluster,
      'poor',
      /has no smartnic.io\/direct .* add smartnic.io\/direct: 1 to a container's resources.limits/,
    );
    await cluster.kubectl('-n', 'test', 'delete', 'pod', 'late', 'poor', '--force', '--timeout=60s');
    await cluster.kubectl(...ours, 'scale', 'deployment/smartnic-admission', '--replicas=2');
    await untilAdmissionRuns(cluster);
    await eventually('it reserves again', 20, async () => {
      assert.match(await said(pod('again', { networks: 'vf' }), '--dry-run=server', '-o', 'yaml'), /smartnic.io\/direct: "1"/);
    });
  });

  it('is applied again without losing its certificate', async () => {
    const before = await secretOf(cluster);
    await cluster.kubectl('apply', '-k', `${cluster.dir}/deploy`);
    assert.deepEqual(await secretOf(cluster), before);
    const { webhooks } = await cluster.get('mutatingwebhookconfiguration', 'smartnic-admission');
    for (const { clientConfig } of webhooks) assert.ok(clientConfig.caBundle);
  });
});
