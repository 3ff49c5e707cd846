// A made-up vnic type is plugged like any other: kubelet gives a slot for it, the pod's annotation chooses it, and our server makes it.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeeded } from '../support/answers.ts';
import { writeIpam } from '../support/crash.ts';
import { type FakeApiServer, kubeconfig, startFakeApiServer } from '../support/fake-api-server.ts';
import { FakeKubelet } from '../support/fake-kubelet.ts';
import { copyWithType, pools, resource, type } from '../support/made-up-type.ts';
import { type CniCall, containerId, network, startNode, type TestNode } from '../support/node.ts';
import { skipWithoutOvs } from '../support/ovs.ts';
import { vnicContract } from '../support/vnic-contract.ts';

describe('a made-up vnic type', function () {
  this.timeout(60_000);
  const all = new AsyncDisposableStack();
  let node: TestNode;
  let kubelet: FakeKubelet;
  let api: FakeApiServer;
  let pods = 0;

  before(async function () {
    skipWithoutOvs.call(this);
    const { directory: source, offer } = all.use(copyWithType());
    const settings = 'nodeName: n1\nkubeletDir: DIR/k\nkubernetes: { kubeconfig: DIR/kubeconfig }\n';
    node = all.use(await startNode({ source, settings, server: false }));
    api = all.use(await startFakeApiServer({ netns: `/run/netns/${node.ovs.netns}` }));
    writeFileSync(join(node.dir, 'kubeconfig'), kubeconfig(api.url));
    kubelet = new FakeKubelet({ directory: join(node.dir, 'k') });
    all.defer(() => kubelet.stop());
    await kubelet.start();
    mkdirSync(join(node.dir, 'etc'));
    writeFileSync(join(node.dir, 'etc/pools.yaml'), pools);
    offer(kubelet, all.adopt(new AbortController(), (ending) => ending.abort()).signal);
    await kubelet.untilOffered(resource, 2, 2);
    await writeIpam(node, 'refusing', '[ "$CNI_COMMAND" != ADD ]');
    await node.startServer();
  });
  after(async () => await all.disposeAsync());

  /** A pod that kubelet gave a slot, and whose annotation names the type. The pods of earlier tests have ended. */
  async function call(config: object = {}): Promise<CniCall> {
    const [name, uid, earlier] = [`web-${pods}`, `shop/web-${pods}`, `shop/web-${pods - 1}`];
    pods += 1;
    kubelet.remove(earlier);
    await kubelet.admit({ name: `shop/${name}`, containers: { app: { [resource]: 1 } } });
    api.put({ namespace: 'shop', name, uid, nodeName: 'n1', annotations: { 'smartnic.io/vnic-type': `{"net1": "${type}"}` } });
    const netns = all.use(await node.pod()).path;
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name};K8S_POD_UID=${uid}`;
    return { containerId: containerId(), ifname: 'net1', netns, args, config: network(node, { cniVersion: '1.1.0', ...config }) };
  }

  it('is plugged into the bridge, with what kubelet gave for it, and taken away', async () => {
    const one = await call();
    const { exit, stdout, json } = await node.cni('ADD', one);
    assert.equal(exit, 0, stdout);
    const port = `${json.interfaces[0].name}`;
    const ids = ['smartnic-type', 'smartnic-slot'].map((key) => node.ovs.vsctl('get', 'Interface', port, `external_ids:${key}`));
    assert.deepEqual(await Promise.all(ids), [type, 'toys-0']);
    assert.equal(await node.ovs.vsctl('port-to-br', port), 'br0');
    succeeded(await node.cni('DEL', one));
    assert.deepEqual(await node.leftovers(), []);
  });

  describe('keeps the contract of vnic types', () => {
    vnicContract(() => ({
      state: async () => (await node.leftovers()).join('\n'),
      call,
      cni: (command, one) => node.cni(command, one),
      refusingIpam: 'refusing',
    }));
  });
});
