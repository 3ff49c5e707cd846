// Suites of a server that is killed (kill -9) at steps of a command. `npm test` takes one step of each kind, crash.long.ts takes them all.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CrashNode } from './crash.ts';
import type { CniCall } from './node.ts';

/** Call these in a `describe` without a server that runs; `crash` is asked for when the tests run, and leaves one that runs. */
export interface AddSuites {
  /** Steps of an ADD that would succeed. */
  readonly finished: readonly string[];
  /** Steps of undoing an ADD that failed. `refusing` is an IPAM plugin that gives no address. */
  readonly undone: readonly string[];
}

export function killedInAdd(crash: () => CrashNode, { finished, undone }: AddSuites): void {
  for (const step of finished.filter((each) => each !== 'committed')) {
    it(`leaves nothing that the next start does not take away, and the container can be attached: "${step}"`, async () => {
      const { node, call: makeCall, killedAt, left, ping } = crash();
      const call = makeCall();
      const lost = await killedAt(step, 'ADD', call);
      assert.equal(lost.json.code, 11);
      assert.deepEqual(await left(), []);
      const again = await node.cni('ADD', call);
      assert.equal(again.exit, 0, again.stdout);
      await ping();
      assert.equal((await node.cni('DEL', call)).exit, 0);
      assert.deepEqual(await left(), []);
    });
  }

  for (const step of finished) {
    it(`leaves nothing after the runtime's DEL, sent while no server runs: "${step}"`, async () => {
      const { node, call: makeCall, killedAt, left } = crash();
      const call = makeCall();
      const lost = await killedAt(step, 'ADD', call);
      await node.server.stop('SIGKILL');
      const deleted = node.cni('DEL', { ...call, netns: '' });
      await node.startServer();
      assert.deepEqual([lost.exit, await deleted.then(({ exit, stdout }) => [exit, stdout])], [1, [0, '']]);
      assert.deepEqual(await left(), []);
    });
  }

  for (const step of undone) {
    it(`that fails leaves nothing either, killed while it was being undone: "${step}"`, async () => {
      const { call, killedAt, left } = crash();
      assert.equal((await killedAt(step, 'ADD', call({ ipam: { type: 'refusing' } }))).json.code, 11);
      assert.deepEqual(await left(), []);
    });
  }
}

/** Call it in a `describe` with a server that runs; it leaves one. */
export function killedInDel(crash: () => CrashNode, steps: readonly string[]): void {
  let peers: readonly string[];
  before(async () => {
    peers = await crash().node.journal();
  });

  /** Attaches with the server that the test before left, which then goes. */
  const attached = async (): Promise<CniCall> => {
    const { node, call: makeCall } = crash();
    const call = makeCall();
    const added = await node.cni('ADD', call);
    assert.equal(added.exit, 0, added.stdout);
    await node.server.stop();
    return call;
  };
  const endsClean = async (step: string, command: string, call: CniCall) => {
    const { exit, stdout } = await crash().killedAt(step, command, call);
    assert.deepEqual([exit, stdout], [0, '']);
    assert.deepEqual(await crash().left(), []);
  };

  for (const step of steps) {
    it(`ends clean with its successor: "${step}"`, async () => await endsClean(step, 'DEL', await attached()));

    it(`ends clean with its successor though the journal is lost: "${step}"`, async () => {
      const { node } = crash();
      const call = await attached();
      for (const file of (await node.journal()).filter((each) => !peers.includes(each)))
        await rm(join(node.stateDir, 'attachments', file));
      await endsClean(step, 'DEL', call);
    });

    it(`ends clean in a GC as well: "${step}"`, async () => {
      const call = await attached();
      const config = { ...(call.config as object), 'cni.dev/valid-attachments': [] };
      await endsClean(step, 'GC', { ...call, config });
    });
  }

  it('never touched the pod beside it', async () => {
    await crash().node.cni('ADD', crash().call());
    await crash().ping();
  });
}
