// Smartnic as the node's main network: containerd asks it itself, without Multus.
import { strict as assert } from 'node:assert';
import { type Cluster, eventually, startCluster } from './cluster.ts';
import { deploy, importOurImage } from './deployment.ts';
import { prepareNode, startVswitchd } from './node.ts';
import { inPod, ping, pod, remove, untilNothingIsLeft, untilReady } from './pods.ts';

const ipam = { type: 'host-local', ranges: [[{ subnet: '10.3.0.0/24' }]] };
const ownNetwork = { cniVersion: '1.1.0', name: 'tool', plugins: [{ type: 'smartnic', bridge: 'br-int', ipam }] };

/** What an admin changes of the overlay for a cluster of both families. */
const pods = {
  ...{ type: 'smartnic', bridge: 'br-int' },
  ipam: {
    ...{ type: 'host-local', ranges: [[{ subnet: '10.1.0.0/16' }], [{ subnet: 'fd00:1::/64' }]] },
    routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
  },
};
const dualStack = {
  ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'smartnic-network', namespace: 'kube-system' } },
  data: { 'smartnic.conflist': JSON.stringify({ cniVersion: '1.1.0', name: 'pods', plugins: [pods] }) },
};

describe('a cluster whose main network is ours', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await startCluster({ prepare: prepareNode('none') });
    await importOurImage(cluster);
  });
  after(async () => await cluster?.[Symbol.asyncDispose]());

  const conditionOf = async () => {
    const { status } = await cluster.get('node', 'node1');
    return status.conditions.find(({ type }: { type: string }) => type === 'Ready');
  };

  it('makes the node Ready', async () => {
    await cluster.nodeReady(false);
    await deploy(cluster, 'main-network', {}, { patches: [dualStack] });
    await cluster.nodeReady();
  });

  it('gives pods addresses of both families, in the container that ships, where /proc/sys is read-only', async () => {
    await cluster.apply(pod('six'), pod('other'));
    await untilReady(cluster, 'six', 'other');
    const line = await inPod(cluster, 'other', 'ip', '-o', '-6', 'addr', 'show', 'dev', 'eth0', 'scope', 'global');
    const [, address = ''] = /inet6 (fd00:1::[0-9a-f:]+)\/64/.exec(line) ?? [];
    await ping(cluster, 'six', address);
    for (const [family, gateway] of [
      ['-4', '10.1.0.1'],
      ['-6', 'fd00:1::1'],
    ] as const)
      assert.match(
        await inPod(cluster, 'six', 'ip', family, 'route', 'show', 'default'),
        new RegExp(`^default via ${gateway} dev eth0`, 'm'),
      );
    await remove(cluster, 'six', 'other');
  });

  it('gives pods their eth0, and each other', async () => {
    await cluster.apply(pod('a'), pod('b'));
    await untilReady(cluster, 'a', 'b');
    const { status } = await cluster.get('-n', 'test', 'pod', 'b');
    assert.match(await inPod(cluster, 'b', 'ip', '-o', '-4', 'addr', 'show', 'eth0'), new RegExp(`${status.podIP}/`));
    await ping(cluster, 'a', status.podIP);
  });

  it('takes the node out with our words while Open vSwitch is down, and back', async () => {
    await cluster.stop('ovs-vswitchd');
    await cluster.nodeReady(false);
    const { reason, message } = await conditionOf();
    assert.equal(reason, 'KubeletNotReady');
    assert.match(message, /ovs-vswitchd/);
    await startVswitchd(cluster);
    await cluster.nodeReady();
    const { status } = await cluster.get('-n', 'test', 'pod', 'b');
    await ping(cluster, 'a', status.podIP);
  });

  describe('asked by cnitool', () => {
    const cnitool = async (verb: string) =>
      await cluster.sh(`NETCONFPATH=/run/cnitool cnitool ${verb} tool /run/netns/cnitool 2>&1`);
    const ports = async () =>
      await cluster.sh('ovs-vsctl --bare --columns=name find Interface external_ids:smartnic-network=tool');
    beforeEach(async () => {
      await cluster.sh(`mkdir -p /run/cnitool && ip netns add cnitool
        echo '${JSON.stringify(ownNetwork)}' > /run/cnitool/tool.conflist`);
    });
    afterEach(async () => {
      await cnitool('del');
      await cluster.sh('[ ! -e /run/netns/cnitool ] || ip netns delete cnitool');
      assert.equal(await ports(), '');
    });

    it('adds, checks and tells its status; deletes what is gone already as well', async () => {
      await cnitool('add');
      assert.match(await cluster.sh('ip netns exec cnitool ip -o -4 address show eth0'), /inet 10\.3\.0\.\d+\/24/);
      for (const verb of ['check', 'status', 'del']) await cnitool(verb);
      assert.equal(await ports(), '');
      await cnitool('del');
    });

    it('adds once only, and leaves the interface that is there', async () => {
      await cnitool('add');
      await assert.rejects(cnitool('add'), /is attached to network tool already/);
      await cnitool('check');
    });

    const changes = {
      address: ['ip -n cnitool address flush dev eth0', /eth0 in \/run\/netns\/cnitool has lost its address 10\.3\.0\.\d+/],
      port: ['ovs-vsctl del-port $(ovs-vsctl --bare --columns=name find Interface external_ids:smartnic-network=tool)', /port/],
      interface: ['ip -n cnitool link delete eth0', /eth0/],
    } as const;
    for (const [what, [change, words]] of Object.entries(changes))
      it(`tells at a check that the ${what} is gone`, async () => {
        await cnitool('add');
        await cluster.sh(change);
        await assert.rejects(cnitool('check'), words);
      });

    it('collects what is not in the list of the valid, and what has lost its namespace', async () => {
      await cnitool('add');
      await cnitool('gc');
      assert.equal(await ports(), '');
      await cnitool('add');
      await cluster.sh('ip netns delete cnitool');
      await cnitool('gc');
      assert.equal(await ports(), '');
    });

    it('says at status and add that ovs-vswitchd is down, and deletes all the same', async () => {
      await cnitool('add');
      await cluster.stop('ovs-vswitchd');
      try {
        await assert.rejects(cnitool('status'), /ovs-vswitchd/);
        await cnitool('del');
        await assert.rejects(cnitool('add'), /ovs-vswitchd/);
      } finally {
        await startVswitchd(cluster);
      }
      await cnitool('status');
    });
  });

  it('takes a changed ConfigMap over without a restart, and not one that can not be read', async () => {
    const change = async (mtu: string) => {
      const map = await cluster.get('-n', 'kube-system', 'configmap', 'smartnic-network');
      const text: string = map.data['smartnic.conflist'].replace(
        /"bridge": *"br-int",( *"mtu": *\d+,)?/,
        `"bridge": "br-int", "mtu": ${mtu},`,
      );
      await cluster.apply({
        ...map,
        metadata: { name: 'smartnic-network', namespace: 'kube-system' },
        data: { 'smartnic.conflist': text },
      });
      // Kubelet looks at a pod's ConfigMaps when something of the pod changes.
      await cluster.kubectl('-n', 'kube-system', 'annotate', '--overwrite', 'pods', '-l', 'app=smartnic', `test/mtu=${mtu}`);
    };
    const present = async () => await cluster.sh('cat /etc/cni/net.d/10-smartnic.conflist');
    await change('1342');
    await eventually('the runtime has it', 120, async () => assert.match(await present(), /"mtu": 1342,/));
    await change('12');
    const log = async () => await cluster.kubectl('-n', 'kube-system', 'logs', '-l', 'app=smartnic', '-c', 'cni', '--tail=-1');
    await eventually('the log says it', 120, async () => assert.match(await log(), /smartnic\.conflist:\d+: mtu: 12 is below/));
    assert.match(await present(), /"mtu": 1342,/);
    await cluster.nodeReady();
  });

  it('leaves nothing of deleted pods', async () => {
    await remove(cluster, 'a', 'b');
    await untilNothingIsLeft(cluster);
  });
});
