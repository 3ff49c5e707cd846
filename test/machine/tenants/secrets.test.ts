// A network whose IPAM plugin needs a password, and a log that anybody who debugs the node reads.
import assert from 'node:assert/strict';
import { cleanNode } from '../../support/clean-node.ts';
import { fails, ipamPlugins, says } from '../../support/ipam-plugin.ts';
import { containerId, type TestNode } from '../../support/node.ts';

const password = 'correct-horse-battery-staple';

describe('a password in a network', () => {
  let node: TestNode;
  cleanNode({ logLevel: 'trace' }, (given) => {
    ({ node } = given);
  });

  it('is in no line of the log, at no level, whatever fails', async () => {
    const { plugin } = ipamPlugins(node);
    await using pod = await node.pod();
    const config = { cniVersion: '1.0.0', name: 'tenant-a', type: 'smartnic', bridge: 'br0', ipam: { type: 'tried', password } };
    const call = { containerId: containerId(), netns: pod.path, config };
    const broken = fails('{"cniVersion":"1.0.0","code":11,"msg":"the vault is closed"}');
    // The address may have been given, and can't be given back: the undoing of this ADD fails, which is an error in the log.
    await plugin({ ADD: says('nonsense'), DEL: broken });
    assert.notEqual((await node.cni('ADD', call)).exit, 0);
    assert.match(await node.log(), /undoing a failed ADD/);
    assert.notEqual((await node.cni('DEL', call)).exit, 0);
    await node.cni('ADD', { ...call, config: { ...config, mtu: 'x', ipam: { type: 7, password } } });
    await node.sweep();
    await plugin({});
    assert.equal((await node.cni('DEL', call)).exit, 0);
    assert.ok(!(await node.log()).includes(password));
  });
});
