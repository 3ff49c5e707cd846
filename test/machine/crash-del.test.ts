// kill -9 of the server at every step of a DEL and a GC: the runtime's retry, which the executable makes by itself, ends clean.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type CrashNode, delSteps, startCrashNode } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import type { CniCall } from '../support/node.ts';

describe('a server that is killed in a DEL', () => {
  let crash: CrashNode;
  let peers: readonly string[];
  forAllTests(startCrashNode, async (made) => {
    crash = made;
    peers = await crash.node.journal();
    await crash.node.startServer();
  });

  /** Attaches with the server that the test before left, which then goes. */
  const attached = async (): Promise<CniCall> => {
    const call = crash.call();
    const added = await crash.node.cni('ADD', call);
    assert.equal(added.exit, 0, added.stdout);
    await crash.node.server.stop();
    return call;
  };

  for (const step of delSteps) {
    it(`ends clean with its successor: "${step}"`, async () => {
      const call = await attached();
      const deleted = await crash.killedAt(step, 'DEL', call);
      assert.deepEqual([deleted.exit, deleted.stdout], [0, '']);
      assert.deepEqual(await crash.left(), []);
    });

    it(`ends clean with its successor though the journal is lost: "${step}"`, async () => {
      const call = await attached();
      for (const file of (await crash.node.journal()).filter((each) => !peers.includes(each))) {
        await rm(join(crash.node.stateDir, 'attachments', file));
      }
      const deleted = await crash.killedAt(step, 'DEL', call);
      assert.deepEqual([deleted.exit, deleted.stdout], [0, '']);
      assert.deepEqual(await crash.left(), []);
    });

    it(`ends clean in a GC as well: "${step}"`, async () => {
      const call = await attached();
      const config = { ...(call.config as object), 'cni.dev/valid-attachments': [] };
      const collected = await crash.killedAt(step, 'GC', { ...call, config });
      assert.deepEqual([collected.exit, collected.stdout], [0, '']);
      assert.deepEqual(await crash.left(), []);
    });
  }

  it('never touched the pod beside it', async () => {
    await crash.node.cni('ADD', crash.call());
    await crash.ping();
  });
});
