// The node's disk became read-only, or one file on it can't be read. Requests that need other files are served, and a DEL still takes away.
import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { refused, succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { writeIpam } from '../support/crash.ts';
import { forAllTests } from '../support/for-all-tests.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { mountReadOnly } from '../support/read-only.ts';
import { until } from '../support/until.ts';

describe('on a broken disk', () => {
  let node: TestNode;
  forAllTests(startNode, (made) => {
    node = made;
  });
  afterEach(async () => assert.deepEqual(await node.leftovers(), []));

  const entries = () => join(node.stateDir, 'attachments');
  const onlyEntry = async () => join(entries(), (await node.journal())[0] ?? 'none');

  it('that is read-only a DEL succeeds, an ADD says why it can not, and the entry goes when the disk is back', async () => {
    await using attached = await attach(node, network(node));
    {
      await using _ = await mountReadOnly(node.stateDir, node.server.pid);
      succeeded(await attached.del());
      assert.deepEqual((await node.leftovers()).map((each) => each.split(' ')[0]), ['journal']); // biome-ignore format: one thought
      succeeded(await attached.del());
      refused(await node.cni('ADD', { ...attached.call, containerId: containerId() }), 5, /can't be written: EROFS/);
    }
    assert.match(await node.sweep(), /^removed .* its deleting was cut short$/m);
  });

  it('that is read-only a server starts, serves what it can, and stops', async () => {
    await using attached = await attach(node, network(node));
    await node.server.stop();
    {
      await using _ = await mountReadOnly(node.stateDir);
      await node.startServer();
      succeeded(await attached.check());
      succeeded(await attached.del());
      assert.equal(await node.server.stop(), 0);
    }
    await node.startServer();
    await until(async () => (await node.journal()).length === 0, 'the sweep finds that its cable is gone');
  });

  it('with an entry that can not be read everything else is served, it is reported, and its own DEL takes away what it can', async () => {
    await using attached = await attach(node, network(node));
    const path = await onlyEntry();
    await rm(path);
    await mkdir(path); // EISDIR stands here for the EIO of a bad block
    await node.server.stop();
    await node.startServer();
    await using other = await attach(node, network(node));
    succeeded(await other.del());
    assert.match(await node.sweep(), /^! .*can't be read and is left alone: EISDIR/m);
    refused(await attached.check(), 11, /can't be read and is left alone: EISDIR/);
    succeeded(await attached.del());
    assert.deepEqual(await node.leftovers(), [`journal ${basename(path)}`]);
    await rmdir(path);
  });

  it('with an entry that grew to 125 000 lines a DEL, an ADD and a start are as ever', async () => {
    await writeIpam(
      node,
      'bad',
      `[ "$CNI_COMMAND" = ADD ] && exec /usr/lib/cni/host-local\necho '{"code":100,"msg":"no"}'; exit 1`,
    );
    const { ipam, ...rest } = network(node) as { readonly ipam: object };
    await using attached = await attach(node, { ...rest, ipam: { ...ipam, type: 'bad' } });
    for (let tries = 0; tries < 3; tries++) refused(await attached.del(), 100, /no/);
    const path = await onlyEntry();
    assert.equal((await readFile(path, 'utf8')).split('"left"').length - 1, 1, 'a failure that repeats itself is noted once');
    await appendFile(path, '\n{"phase":"deleting"}\n'.repeat(125_000));
    refused(await attached.del(), 100, /no/);
    await using other = await attach(node, network(node));
    succeeded(await other.del());
    await node.server.stop();
    await node.startServer();
    assert.ok((await stat(path)).size < 8192, 'the start makes it short');
    await writeIpam(node, 'bad', 'exec /usr/lib/cni/host-local');
    succeeded(await attached.del());
  });
});
