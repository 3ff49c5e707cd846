// A network that names an OVSDB server where nobody is. What its requests leave does not make our server dial that address for ever.
import assert from 'node:assert/strict';
import { readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { refused, succeeded } from '../support/answers.ts';
import { cleanNode } from '../support/clean-node.ts';
import { containerId, network, type TestNode } from '../support/node.ts';
import { until } from '../support/until.ts';

describe('a mistyped address of an OVSDB server', function () {
  this.timeout(60_000);
  let node: TestNode;
  let undo: AsyncDisposableStack;
  // Without such a rule, a network may name no database but the node's own.
  const settings = 'bounds: [{ namespaces: ["*"], bridges: ["*"], ovsdb: ["unix:DIR/other.sock"] }]\n';
  cleanNode({ settings }, (given) => {
    ({ node, undo } = given);
  });

  /** Somebody listens there, but speaks no OVSDB: it hangs up, and counts. */
  const wrong = async () => {
    const path = join(node.dir, 'wrong.sock');
    let dialled = 0;
    const server = createServer((socket) => {
      dialled += 1;
      socket.destroy();
    }).listen(path);
    undo.defer(() => void server.close());
    const call = { containerId: containerId(), config: network(node, { ovsdb: `unix:${path}` }) };
    return { call, dialled: () => dialled };
  };
  /** As if so many seconds had gone by. */
  const older = async (seconds: number) => {
    for (const name of await node.journal()) {
      const path = join(node.stateDir, 'attachments', name);
      const text = await readFile(path, 'utf8');
      await writeFile(
        path,
        text.replace(/"began":(-?\d+)/, (_, began) => `"began":${Number(began) - seconds * 1e6}`),
      );
    }
  };
  it('in a DEL of what nobody knows is looked for an hour, and then forgotten, with an error in the log', async () => {
    const { call, dialled } = await wrong();
    succeeded(await node.cni('DEL', call));
    assert.equal((await node.journal()).length, 1);
    await older(3500);
    await node.sweep();
    assert.equal((await node.journal()).length, 1);
    await older(120);
    assert.match(
      await node.sweep(),
      /removed .* OVSDB server unix:\S+wrong.sock, which its network named at DEL, has not answered for an hour/,
    );
    assert.deepEqual(await node.journal(), []);
    assert.match(await node.log(), /forgetting what nothing shows to be there/);
    assert.ok(dialled() > 0);
  });

  it('is not given up for an attachment that was added: its port is remembered', async () => {
    const socket = join(node.dir, 'other.sock');
    await symlink(node.ovs.address.replace('unix:', ''), socket);
    const pod = undo.use(await node.pod());
    const call = { containerId: containerId(), netns: pod.path, config: network(node, { ovsdb: `unix:${socket}` }) };
    succeeded(await node.cni('DEL', call)); // before ADD: nothing stays
    assert.deepEqual(await node.journal(), []);
    const { exit, stdout } = await node.cni('ADD', call);
    assert.equal(exit, 0, stdout);
    await node.ovs.stop();
    succeeded(await node.cni('DEL', call));
    await older(4000);
    await node.sweep();
    assert.equal((await node.journal()).length, 1);
    await node.ovs.start();
    await until(async () => (await node.leftovers()).length === 0, 'the port goes when the database is back');
  });

  it('in a request of any kind is an error, and is not dialled any more soon after', async () => {
    const { call, dialled } = await wrong();
    const pod = undo.use(await node.pod());
    const config = { ...call.config, cniVersion: '1.1.0' };
    const answers = await Promise.all(
      ['ADD', 'STATUS', 'GC'].map((command) => node.cni(command, { ...call, netns: pod.path, config })),
    );
    for (const answer of answers) refused(answer, answer.json.code, /wrong\.sock/);
    assert.ok(dialled() > 0);
    const silent = async () => {
      const before = dialled();
      await sleep(8000); // the longest pause between two attempts is 5 s
      return dialled() === before;
    };
    await until(silent, 'nobody dials it any more', 55);
  });
});
