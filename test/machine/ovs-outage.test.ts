// Open vSwitch goes away, comes back and hangs, under a server that stays connected: nothing fails for good, nothing is left.
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codes } from '../../cni/protocol/errors.ts';
import { refused, succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { cleanNode } from '../support/clean-node.ts';
import { type CniAnswer, containerId, network, type TestNode } from '../support/node.ts';
import { pings } from '../support/traffic.ts';

describe('with Open vSwitch', () => {
  let node: TestNode;
  let undo: AsyncDisposableStack;
  cleanNode(
    { settings: 'portTimeout: 3\nbounds: [{ namespaces: ["*"], bridges: ["*"], ovsdb: ["tcp:127.0.0.1:1"] }]\n' },
    (given) => {
      ({ node, undo } = given);
    },
  );

  const plug = async (more: object = {}) => undo.use(await attach(node, network(node, more)));
  const tried = async (more: object = {}) => {
    const pod = undo.use(await node.pod());
    return { containerId: containerId(), netns: pod.path, config: network(node, more) };
  };
  /**
   * Runs `work` with ovsdb-server down; it is up again afterwards, whatever happened. So is ovs-vswitchd, which by itself would only
   * come back to its database after seconds.
   */
  const withoutOvsdb = async <T>(work: () => Promise<T>): Promise<T> => {
    await node.ovs.stop();
    try {
      return await work();
    } finally {
      await node.ovs.start();
      await node.ovs.vsctl('set', 'Bridge', 'br0', `external_ids:awake=${performance.now()}`);
    }
  };
  const leases = async () =>
    (await readdir(join(node.dir, 'leases', 'tenant-a')).catch(() => [])).filter((name) => name.startsWith('10.'));

  it('its database down, or nobody at its address: ADD says within seconds to try again and which one is silent, and has done nothing', async () => {
    const [down, nobody] = [await tried(), await tried({ name: 'tenant-b', ovsdb: 'tcp:127.0.0.1:1' })];
    await withoutOvsdb(async () => {
      const began = performance.now();
      const [first, second] = await Promise.all([node.cni('ADD', down), node.cni('ADD', nobody)]);
      assert.ok(performance.now() - began < 5000);
      refused(first, codes.tryAgain, new RegExp(node.ovs.address));
      refused(second, codes.tryAgain, /tcp:127\.0\.0\.1:1/);
      assert.deepEqual([await node.journal(), await leases()], [[], []]);
    });
    succeeded(await node.cni('DEL', down));
  });

  it('its database down for a moment: ADD waits for it', async () => {
    const call = await tried();
    undo.defer(async () => succeeded(await node.cni('DEL', call)));
    await node.ovs.ovsdb.stop();
    const answer = node.cni('ADD', call);
    await sleep(300);
    await node.ovs.ovsdb.start();
    const { exit, stdout } = await answer;
    assert.equal(exit, 0, stdout);
  });

  it('its database down: DEL succeeds, and the port goes when it is back', async () => {
    const a = await plug();
    await withoutOvsdb(async () => {
      const began = performance.now();
      succeeded(await a.del());
      assert.ok(performance.now() - began < 5000);
      assert.deepEqual(await leases(), []);
      assert.equal((await node.journal()).length, 1);
      succeeded(await a.del());
    });
    await untilClean();
  });

  it('its database down: DEL without a journal is remembered, and the port goes when it is back', async () => {
    const a = await plug();
    await withoutOvsdb(async () => {
      for (const name of await node.journal()) await rm(join(node.stateDir, 'attachments', name));
      succeeded(await a.del());
    });
    await untilClean();
  });

  it('its database down: a DEL is remembered over a restart of the server', async () => {
    const a = await plug();
    await withoutOvsdb(async () => {
      succeeded(await a.del());
      assert.equal(await node.server.stop(), 0);
      await node.startServer();
    });
    await untilClean();
  });

  it('its database down: CHECK and STATUS say that it is, not that the pod is broken', async () => {
    const config = network(node, { cniVersion: '1.1.0' });
    const a = undo.use(await attach(node, config));
    await withoutOvsdb(async () => {
      const [check, status] = await Promise.all([a.check(), node.cni('STATUS', { ...a.call, config })]);
      refused(check, codes.tryAgain, new RegExp(node.ovs.address));
      refused(status, codes.unavailable, new RegExp(node.ovs.address));
    });
    succeeded(await a.check());
    assert.equal((await node.cni('STATUS', { ...a.call, config })).exit, 0);
  });

  it('restarted: the next ADD works at once, and reaches pods that were there before', async () => {
    const before = await plug();
    await node.ovs.stop();
    await node.ovs.start();
    const after = await plug();
    succeeded(await before.check());
    assert.ok(await eventually(() => pings(after.pod, before.ip)));
  });

  for (const [how, halt, go] of [
    ['stopped', (ovs) => ovs.stopVswitchd(), (ovs) => ovs.startVswitchd()],
    ['hanging', async (ovs) => ovs.pauseVswitchd(), async (ovs) => ovs.resumeVswitchd()],
  ] satisfies readonly (readonly [string, ...((ovs: TestNode['ovs']) => Promise<void>)[]])[]) {
    it(`ovs-vswitchd ${how}: ADD says so and leaves nothing, DEL works, STATUS is 51`, async () => {
      const there = await plug();
      const call = await tried({ cniVersion: '1.1.0' });
      await halt(node.ovs);
      try {
        refused(await node.cni('ADD', call), codes.tryAgain, /ovs-vswitchd does not answer/);
        assert.deepEqual(
          (await node.leftovers()).filter((each) => !each.includes(there.port.slice(2)) && !each.includes(there.ip)),
          [],
        );
        refused(await node.cni('STATUS', call), codes.impaired, /ovs-vswitchd is not running/);
        succeeded(await there.del());
      } finally {
        await go(node.ovs);
      }
      undo.defer(async () => succeeded(await node.cni('DEL', call)));
      assert.equal(
        (
          await eventually(
            () => node.cni('ADD', call),
            ({ exit }) => exit === 0,
          )
        ).exit,
        0,
      );
    });
  }

  it('its database hanging: ADD gives up within half a minute, and what the database then does late is undone', async () => {
    const call = await tried();
    node.ovs.ovsdb.pause();
    let answer: CniAnswer;
    try {
      answer = await node.cni('ADD', call);
    } finally {
      node.ovs.ovsdb.resume();
    }
    refused(answer, codes.tryAgain, new RegExp(node.ovs.address));
    await untilClean();
  });

  async function untilClean(): Promise<void> {
    assert.deepEqual(
      await eventually(
        () => node.leftovers(),
        (left) => left.length === 0,
      ),
      [],
    );
  }
});

/** What `ask` gives once it `holds`, or after five seconds. */
async function eventually<T>(ask: () => Promise<T>, holds: (answer: T) => boolean = (answer) => answer === true): Promise<T> {
  for (const end = performance.now() + 5000; ; await sleep(50)) {
    const answer = await ask();
    if (holds(answer) || performance.now() > end) return answer;
  }
}
