// `normal` and `virtio-forwarder` (with slots of Open vSwitch) in every CNI version: ADD, CHECK, STATUS, GC and DEL. test/lab has `direct`.
import assert from 'node:assert/strict';
import { cleanNode } from '../support/clean-node.ts';
import { skipWithoutDpdk } from '../support/consumer.ts';
import { everyVersion } from '../support/every-version.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { containerId, network, type TestNode } from '../support/node.ts';
import { skipWithoutDpdkOvs } from '../support/ovs.ts';
import { type SlotNode, type SlotPod, startSlotNode } from '../support/slot-node.ts';

const addresses = [{ address: '10.77.0.2/16', gateway: '10.77.0.1' }, { address: 'fd00:77::2/64' }];
const ipam = { type: 'static', addresses, routes: [{ dst: '10.99.0.0/16', gw: '10.77.0.1' }, { dst: 'fd00:99::/64' }] };

describe('normal', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode({}, (given) => {
    ({ node, undo } = given);
  });

  everyVersion(() => ({
    cni: node.cni,
    call: async (cniVersion) => {
      const pod = undo.use(await node.pod());
      return { containerId: containerId(), netns: pod.path, config: network(node, { cniVersion, ipam }) };
    },
    since110: ['mtu'],
    ips: 2,
    routes: 2,
  }));
});

describe('virtio-forwarder', () => {
  let machine: SlotNode;
  let pod: SlotPod | undefined;
  forAllTests(
    startSlotNode,
    (made) => {
      machine = made;
    },
    [skipWithoutDpdkOvs, skipWithoutDpdk],
  );
  afterEach(async () => {
    if (pod !== undefined) await machine.end(pod);
    pod = undefined;
    assert.deepEqual(await machine.node.leftovers(), []);
  });

  everyVersion(() => ({
    cni: machine.node.cni,
    call: async (cniVersion) => {
      pod = await machine.pod({ cniVersion });
      return pod.call;
    },
    since110: ['socketPath'],
    ips: 0,
    routes: 0,
  }));
});
