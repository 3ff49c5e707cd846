// The node that most machine tests use: one for all tests of a file. Each test leaves it as clean as it found it.
import { deepEqual } from 'node:assert/strict';
import { forAllTests } from './for-all-tests.ts';
import { type NodeOptions, startNode, type TestNode } from './node.ts';

export interface CleanNode {
  readonly node: TestNode;
  /** Of the test that runs now: disposed when it ends, and then nothing of ours may be left on the node. */
  readonly undo: AsyncDisposableStack;
}

/** Call it in a `describe`; `given` is called before each test. Without Open vSwitch the tests are skipped with that reason. */
export function cleanNode(options: NodeOptions, given: (clean: CleanNode) => void): void {
  let node: TestNode | undefined;
  let undo: AsyncDisposableStack | undefined;
  forAllTests(
    () => startNode(options),
    (made) => {
      node = made;
    },
  );
  beforeEach(() => {
    undo = new AsyncDisposableStack();
    if (node !== undefined) given({ node, undo });
  });
  afterEach(async () => {
    await undo?.disposeAsync();
    deepEqual(await node?.leftovers(), []);
  });
}
