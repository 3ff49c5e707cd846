// kill -9 of the server at every step of an ADD, a finished and a failing one, of a DEL and of a GC. crash-*.test.ts have one step of each.
import { addSteps, type CrashNode, delSteps, refusingIpam, startCrashNode, writeIpam } from '../support/crash.ts';
import { killedInAdd, killedInDel } from '../support/crash-suites.ts';
import { forAllTests } from '../support/for-all-tests.ts';

describe('a server that is killed at any step of an ADD', () => {
  let crash: CrashNode;
  forAllTests(startCrashNode, async (made) => {
    crash = made;
    await writeIpam(crash.node, ...refusingIpam);
  });
  afterEach(() => crash.node.server.stop());
  killedInAdd(() => crash, { finished: addSteps, undone: delSteps });
});

describe('a server that is killed at any step of a DEL', () => {
  let crash: CrashNode;
  forAllTests(startCrashNode, async (made) => {
    crash = made;
    await crash.node.startServer();
  });
  killedInDel(() => crash, delSteps);
});
