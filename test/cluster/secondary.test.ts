// The whole way on a real node: an admin's `kubectl apply`, a pod's annotation, and Multus between. The VFs of this suite are a tree of files
// (nic.ts): kubelet reserves them and containers learn of them, but only a real NIC's PF can plug one (test/lab).
import { strict as assert } from 'node:assert';
import { kubeletVersion } from './cache.ts';
import { type Cluster, eventually } from './cluster.ts';
import { beginUninstall, endUninstall, serviceAccount, startMultusCluster } from './deployment.ts';
import { vsctl } from './node.ts';
import { eventWith, inPod, network, networkStatus, ping, pod, remove, untilNothingIsLeft, untilReady } from './pods.ts';

const pools = `pools:
  - { name: netdev, vnicType: direct, driver: kernel, selectors: [{ rootDevices: ["0000:41:00.0"] }] }
  - { name: relayed, vnicType: virtio-forwarder, selectors: [{ rootDevices: ["0000:41:00.1"] }] }
`;
const ipam = (...subnets: readonly string[]) => ({ type: 'host-local', ranges: subnets.map((subnet) => [{ subnet }]) });
const capabilities = { mac: true, CNIDeviceInfoFile: true };

describe('a cluster with Multus', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await startMultusCluster({ 'pools.yaml': pools });
    await eventually('the definition is served', 20, () =>
      cluster.apply(
        network('tenant-a', { vlan: 100, capabilities, ipam: ipam('10.1.0.0/24') }),
        network('vf-net', { vnicType: 'direct', driver: 'kernel', representor: 'none', capabilities }, 'smartnic.io/direct'),
        network('dual', { capabilities, ipam: ipam('10.5.0.0/24', 'fd00:5::/64') }),
        network('plain', { allowedVnicTypes: ['normal'], ipam: ipam('10.2.0.0/24') }),
      ),
    );
  });
  after(async () => await cluster?.[Symbol.asyncDispose]());
  afterEach(async function () {
    if (this.currentTest?.state !== 'failed') return;
    await cluster?.kubectl('-n', 'test', 'delete', 'pod', '--all', '--force', '--timeout=60s');
  });

  it(`runs the kubelet that it should (${kubeletVersion ?? 'the same version as the API server'})`, async () => {
    const { status } = await cluster.get('node', 'node1');
    const { gitVersion } = JSON.parse(await cluster.kubectl('get', '--raw=/version'));
    assert.equal(status.nodeInfo.kubeletVersion, kubeletVersion === undefined ? gitVersion : `v${kubeletVersion}`);
  });

  it('shows the VFs as resources of the node (VFs: a tree of files)', async () => {
    await eventually('the resources', 30, async () => {
      const { status } = await cluster.get('node', 'node1');
      assert.equal(status.allocatable['smartnic.io/direct'], '4');
      assert.equal(status.allocatable['smartnic.io/virtio-forwarder'], '4');
    });
  });

  it('plugs normal: pods are Ready with net1, Multus tells of it, and they reach each other on their VLAN', async () => {
    await cluster.apply(pod('a', { networks: 'tenant-a@net1' }), pod('b', { networks: 'tenant-a@net1', vnicType: 'normal' }));
    await untilReady(cluster, 'a', 'b');
    const [a, b] = [(await networkStatus(cluster, 'a')).get('net1'), (await networkStatus(cluster, 'b')).get('net1')];
    assert.match(a?.ips?.[0] ?? '', /^10\.1\.0\.\d+$/);
    assert.match(await inPod(cluster, 'a', 'ip', '-o', 'link', 'show', 'net1'), new RegExp(a?.mac ?? 'none'));
    await ping(cluster, 'a', b?.ips?.[0] ?? '');
    assert.equal(await vsctl(cluster, '--bare', '--columns=tag', 'find', 'Port', 'tag=100'), '100\n\n100'.trim());
    await remove(cluster, 'a', 'b');
    await untilNothingIsLeft(cluster);
  });

  it('gives a second interface addresses of both families, in the container that ships, where /proc/sys is read-only', async () => {
    await cluster.apply(pod('a', { networks: 'dual@net1' }), pod('b', { networks: 'dual@net1' }));
    await untilReady(cluster, 'a', 'b');
    const ips = (await networkStatus(cluster, 'b')).get('net1')?.ips ?? [];
    assert.deepEqual([ips.length, ips.filter((ip) => ip.startsWith('fd00:5::')).length], [2, 1]);
    for (const ip of ips) await ping(cluster, 'a', ip);
    await remove(cluster, 'a', 'b');
    await untilNothingIsLeft(cluster);
  });

  it('tells container and Multus of the reserved VF, and frees it with the pod (VFs: a tree of files)', async () => {
    const devices = { 'smartnic.io/direct': 1, 'smartnic.io/virtio-forwarder': 1 };
    await cluster.apply(pod('vf', { networks: 'vf-net@net1', vnicType: 'normal', devices }));
    await untilReady(cluster, 'vf');
    const env = await inPod(cluster, 'vf', 'env');
    const [, address] = /^PCIDEVICE_SMARTNIC_IO_DIRECT=(0000:41:10\.\d)$/m.exec(env) ?? [];
    assert.ok(address, env);
    const [, forwarded = ''] = /^PCIDEVICE_SMARTNIC_IO_VIRTIO_FORWARDER=(\S+)$/m.exec(env) ?? [];
    assert.match(env, new RegExp(`"/var/run/smartnic/${forwarded}/vhost.sock"`));
    await inPod(cluster, 'vf', 'touch', `/var/run/smartnic/${forwarded}/writable`);
    const status = (await networkStatus(cluster, 'vf')).get('net1');
    assert.deepEqual(status?.['device-info'], {
      ...{ type: 'pci', version: '1.1.0' },
      pci: { 'pci-address': address, 'pf-pci-address': '0000:41:00.0' },
    });
    await remove(cluster, 'vf');
    await untilNothingIsLeft(cluster);
  });

  it('lets the annotation choose, within what the network allows, and says in an event what to write', async () => {
    await cluster.apply(
      pod('forbidden', { networks: 'plain@net1', vnicType: 'direct' }),
      pod('unknown', { networks: 'tenant-a@net1', vnicType: '{"net1": "dirct"}' }),
      pod('poor', { networks: 'tenant-a@net1', vnicType: 'direct' }),
    );
    await eventWith(cluster, 'forbidden', /network "plain" does not allow "direct"/);
    await eventWith(cluster, 'unknown', /smartnic\.io\/vnic-type.*"dirct".*normal, direct, virtio-forwarder/);
    await eventWith(
      cluster,
      'poor',
      /pod test\/poor has no smartnic\.io\/direct.*add smartnic\.io\/direct: 1 to a container's resources\.limits/,
    );
    await remove(cluster, 'forbidden', 'unknown', 'poor');
    await untilNothingIsLeft(cluster);
  });

  it('says what a NIC can not do, changes nothing, and frees the VF (a PF that is a tree of files tells nothing of its VFs)', async () => {
    await cluster.apply(pod('direct', { networks: 'vf-net@net1', vnicType: 'direct', devices: { 'smartnic.io/direct': 1 } }));
    await eventWith(cluster, 'direct', /VF 0000:41:10\.\d: it has no netdev to give to the pod; it is bound to igbvf/);
    await remove(cluster, 'direct');
    await untilNothingIsLeft(cluster);
  });

  it('may do no more in the cluster than read pods', async () => {
    const can = async (...args: readonly string[]) =>
      await cluster.sh(`kubectl auth can-i ${args.join(' ')} --as=${serviceAccount} || true`);
    for (const verb of ['get', 'list', 'watch']) assert.equal(await can(verb, 'pods', '--all-namespaces'), 'yes');
    for (const what of ['create pods', 'update pods', 'patch pods', 'delete pods', 'get secrets', 'list nodes', 'get configmaps'])
      assert.equal(await can(...what.split(' '), '--all-namespaces'), 'no', what);
  });

  it('goes without a trace: running pods stay connected until they are deleted', async () => {
    await cluster.apply(pod('left', { networks: 'tenant-a@net1' }), pod('right', { networks: 'tenant-a@net1' }));
    await untilReady(cluster, 'left', 'right');
    await beginUninstall(cluster);
    await cluster.kubectl('-n', 'kube-system', 'wait', '--for=jsonpath={.status.updatedNumberScheduled}=1', 'daemonset/smartnic');
    await ping(cluster, 'left', (await networkStatus(cluster, 'right')).get('net1')?.ips?.[0] ?? '');
    await cluster.apply(pod('late', { networks: 'tenant-a@net1' }));
    await eventWith(cluster, 'late', /is being taken off node node1 and plugs nothing new/);
    await remove(cluster, 'left', 'right', 'late');
    await untilNothingIsLeft(cluster);
    await endUninstall(cluster, 'multus');
    const kinds = 'all,configmap,serviceaccount,clusterrole,clusterrolebinding';
    await eventually('no object is left', 30, async () =>
      assert.equal(await cluster.sh(`kubectl get ${kinds} -A -o name | grep smartnic || true`), ''),
    );
    const paths = [
      '/opt/cni/bin',
      '/etc/cni',
      '/run',
      '/var/lib/smartnic',
      '/var/lib/kubelet/plugins_registry',
      '/var/lib/kubelet/device-plugins',
    ];
    const found = `find ${paths.join(' ')} -path /run/containerd -prune -o -name '*smartnic*' -print 2>/dev/null || true`;
    assert.equal(await cluster.sh(found), '');
  });
});
