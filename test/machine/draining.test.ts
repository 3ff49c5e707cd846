// Uninstalling smartnic from a node: nothing new is plugged, and running pods keep what they have and leave nothing behind.
import assert from 'node:assert/strict';
import { type CrashNode, startCrashNode } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';

describe('a server that drains', () => {
  let crash: CrashNode;
  forAllTests(startCrashNode, (made) => {
    crash = made;
  });

  it('refuses ADD and STATUS with what to do, and serves pods that run to their end', async () => {
    const { node } = crash;
    const call = crash.call();
    await node.startServer();
    const added = await node.cni('ADD', call);
    assert.equal(added.exit, 0, added.stdout);
    await node.server.stop();
    await node.startServer({ SMARTNIC_DRAINING: 'true', NODE_NAME: 'node7' });
    await crash.ping();
    for (const [command, each] of [
      ['ADD', { ...crash.call(), ifname: 'net2' }],
      ['STATUS', { ...call, containerId: '' }],
    ] as const) {
      const { exit, json } = await node.cni(command, each);
      assert.deepEqual([exit, json.code], [1, 50]);
      assert.equal(
        json.msg,
        'smartnic is being taken off node node7 and plugs nothing new; let the pod run on another node (draining is on)',
      );
    }
    const checked = await node.cni('CHECK', { ...call, config: { ...(call.config as object), prevResult: added.json } });
    assert.equal(checked.exit, 0, checked.stdout);
    assert.equal((await node.cni('DEL', call)).exit, 0);
    assert.deepEqual(await crash.left(), []);
  });
});
