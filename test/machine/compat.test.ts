// Networks that come from ovs-cni, on a real Open vSwitch: the port has the VLANs that it had there.
import assert from 'node:assert/strict';
import { examples } from '../compat/networks.ts';
import { succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { network, type TestNode } from '../support/node.ts';

describe('a network that comes from ovs-cni, on a real Open vSwitch', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  for (const { of, what, ours, port } of examples)
    if (port !== undefined)
      it(`${of}, ${what}: the port's tag, mode and trunk are ${port}`, async () => {
        const made = undo.use(await attach(node, network(node, ours)));
        const columns = ['tag', 'vlan_mode', 'trunks'].map((column) => node.ovs.vsctl('get', 'Port', made.port, column));
        assert.equal((await Promise.all(columns)).join(' '), port);
        succeeded(await made.check());
      });
});
