// kill -9 of the server in a DEL and a GC: the runtime's retry, which the executable makes by itself, ends clean. crash.long.ts has every step.
import { type CrashNode, startCrashNode } from '../support/crash.ts';
import { killedInDel } from '../support/crash-suites.ts';
import { forAllTests } from '../support/for-all-tests.ts';

describe('a server that is killed in a DEL', () => {
  let crash: CrashNode;
  forAllTests(startCrashNode, async (made) => {
    crash = made;
    await crash.node.startServer();
  });
  killedInDel(() => crash, ['port removed']);
});
