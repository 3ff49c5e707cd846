// The contract of vnic types, kept by `normal` on the real machine. test/lab/direct.test.ts runs it for `direct`.
import { run } from '../../tools/program.ts';
import { writeIpam } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { vnicContract } from '../support/vnic-contract.ts';

describe('the contract of a vnic type, kept by normal', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  forAllTests(startNode, async (made, all) => {
    [node, undo] = [made, all];
    await writeIpam(node, 'refusing', 'sleep 0.3; if [ "$CNI_COMMAND" = ADD ]; then echo full >&2; exit 1; fi');
  });

  vnicContract(() => ({
    refusingIpam: 'refusing',
    cni: node.cni,
    call: async (config = {}) => ({
      containerId: containerId(),
      netns: undo.use(await node.pod()).path,
      config: network(node, config),
    }),
    state: async () => {
      const { stdout } = await run('ip', ['-n', node.ovs.netns, '-o', 'link', 'show']);
      return [stdout, ...(await node.leftovers())].join('\n');
    },
  }));
});
