// The node's disk is full. An ADD does nothing that it can't write down first, and a DEL still takes away.
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { refused, succeeded } from '../support/answers.ts';
import { attach } from '../support/attached.ts';
import { containerId, network, startNode, type TestNode } from '../support/node.ts';
import { skipWithoutOvs } from '../support/ovs.ts';

const page = 4096;
const disk = 16 * page;

describe('on a full disk', () => {
  let node: TestNode;
  const all = new AsyncDisposableStack();

  before(async function () {
    skipWithoutOvs.call(this);
    node = all.use(await startNode({ server: false }));
    await mkdir(node.stateDir, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', `size=${disk}`, 'tmpfs', node.stateDir]);
    all.defer(async () => {
      await run('umount', ['--lazy', node.stateDir]);
    });
    await node.startServer();
  });
  after(async () => all.disposeAsync());
  afterEach(async () => {
    await rm(filler(), { force: true });
    assert.deepEqual(await node.leftovers(), []);
  });

  const filler = () => join(node.stateDir, 'filler');
  const journalFile = async () => join(node.stateDir, 'attachments', (await node.journal())[0] ?? 'none');

  /** Until not one more page fits. */
  async function fill(): Promise<void> {
    await assert.rejects(writeFile(filler(), Buffer.alloc(2 * disk)), { code: 'ENOSPC' });
  }

  async function leaveOnePage(): Promise<void> {
    await fill();
    const { length } = await readFile(filler());
    await truncate(filler(), length - page);
  }

  it('an ADD fails, says where, and leaves nothing; the same ADD succeeds when there is room again', async () => {
    await using pod = await node.pod();
    const call = { containerId: containerId(), netns: pod.path, config: network(node) };
    await fill();
    refused(await node.cni('ADD', call), 5, /attachments\/\w+\.jsonl can't be written: ENOSPC.*; is there room on its disk/);
    assert.deepEqual(await node.leftovers(), []);
    await rm(filler());
    assert.equal((await node.cni('ADD', call)).exit, 0);
    succeeded(await node.cni('DEL', call));
  });

  it('an ADD fails though a part of what it wrote last found room: a torn line would let the sweep undo a living pod', async () => {
    // The intent fills a page but for a few bytes, so that the line that commits is the one that is torn.
    const config = (padding: number) => network(node, { dns: { search: ['x'.repeat(padding)] } });
    const length = await attach(node, config(100)).then(async (attached) => {
      await using _ = attached;
      return (await readFile(await journalFile(), 'utf8')).indexOf('\n');
    });
    await using pod = await node.pod();
    const call = { containerId: containerId(), netns: pod.path, config: config(page - 50 - length + 100) };
    await leaveOnePage();
    refused(await node.cni('ADD', call), 5, /can't be written: ENOSPC/);
    assert.deepEqual(await node.leftovers(), []);
  });

  it('a DEL takes everything away and ends clean', async () => {
    await using attached = await attach(node, network(node));
    await fill();
    // The bytes that are left of the journal's own page.
    await run('sh', ['-c', `while echo '{}' >> "$0" 2>/dev/null; do :; done`, await journalFile()]);
    succeeded(await attached.del());
    assert.deepEqual(await node.leftovers(), []);
  });
});
