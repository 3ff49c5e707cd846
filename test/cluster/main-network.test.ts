// Smartnic as the node's main network: containerd asks it itself, without Multus.
import { strict as assert } from 'node:assert';
import { type Cluster, startCluster } from './cluster.ts';
import { deploy, importOurImage } from './deployment.ts';
import { prepareNode, startVswitchd } from './node.ts';
import { inPod, ping, pod, remove, untilNothingIsLeft, untilReady } from './pods.ts';

const ipam = { type: 'host-local', ranges: [[{ subnet: '10.3.0.0/24' }]] };
const ownNetwork = { cniVersion: '1.1.0', name: 'tool', plugins: [{ type: 'smartnic', bridge: 'br-int', ipam }] };

describe('a cluster whose main network is ours', function () {
  this.timeout(180_000);
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
    await deploy(cluster, 'main-network');
    await cluster.nodeReady();
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

  it("answers cnitool's sequences: add, check, status, gc, del twice", async () => {
    const said = await cluster.sh(`
      mkdir -p /run/cnitool && ip netns add cnitool && export NETCONFPATH=/run/cnitool
      trap 'ip netns delete cnitool' EXIT
      echo '${JSON.stringify(ownNetwork)}' > /run/cnitool/tool.conflist
      cnitool add tool /run/netns/cnitool
      for verb in check status; do cnitool $verb tool /run/netns/cnitool; done
      ip netns exec cnitool ip -o -4 address show eth0
      ovs-vsctl --bare --columns=name find Interface external_ids:smartnic-network=tool
      cnitool gc tool /run/netns/cnitool
      echo left: $(ovs-vsctl --bare --columns=name find Interface external_ids:smartnic-network=tool)
      for verb in add check del del; do cnitool $verb tool /run/netns/cnitool; done
      echo left: $(ovs-vsctl --bare --columns=name find Interface external_ids:smartnic-network=tool)`);
    assert.match(said, /inet 10\.3\.0\.\d+\/24/);
    assert.deepEqual(said.match(/left:.*/g), ['left:', 'left:']);
  });

  it('leaves nothing of deleted pods', async () => {
    await remove(cluster, 'a', 'b');
    await untilNothingIsLeft(cluster);
  });
});
