// A pod whose author asks for another pod's MAC.
import assert from 'node:assert/strict';
import { type AttachOptions, attach } from '../../support/attached.ts';
import { cleanNode } from '../../support/clean-node.ts';
import { containerId, network, type TestNode } from '../../support/node.ts';

const mac = '02:00:00:00:00:05';

describe('a pod that asks for a MAC', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  const ways: Readonly<Record<string, readonly [object, AttachOptions]>> = {
    'runtimeConfig.mac': [{ runtimeConfig: { mac } }, {}],
    'args.cni.mac': [{ args: { cni: { mac } } }, {}],
    'CNI_ARGS: MAC': [{}, { args: `IgnoreUnknown=1;MAC=${mac}` }],
  };
  for (const [key, [config, options]] of Object.entries(ways)) {
    it(`by ${key} does not get it, and nothing is left, unless the network says allowPodMac: true`, async () => {
      const pod = undo.use(await node.pod());
      const call = { containerId: containerId(), netns: pod.path, config: network(node, config), ...options };
      const { json } = await node.cni('ADD', call);
      assert.equal(json.code, 7);
      assert.equal(
        json.msg.startsWith(`${key}: "${mac}" is asked for by the pod, but network "tenant-a" chooses the MAC itself`),
        true,
        json.msg,
      );
      assert.deepEqual(await node.leftovers(), []);
      const allowed = undo.use(await attach(node, network(node, { ...config, allowPodMac: true }), options));
      assert.equal(allowed.mac, mac);
    });
  }

  it('gets the one that its network gives to every pod', async () => {
    const one = undo.use(await attach(node, network(node, { mac, runtimeConfig: { mac } })));
    assert.equal(one.mac, mac);
  });
});
