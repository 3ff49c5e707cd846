import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { Attachment } from '../../../../cni/attachment/attachment.ts';
import { openJournal, parseEntry } from '../../../../cni/attachment/journal.ts';
import type { Result } from '../../../../cni/protocol/result.ts';

const result: Result = { interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01' }], ips: [], routes: [], dns: {} };

function attachment(id: string): Attachment {
  return {
    network: 'tenant-a',
    containerId: 'grün',
    ifname: 'eth0',
    id,
    bridgePort: `sn${id}`,
    vnicType: 'normal',
    ovsdb: 'unix:/db',
    bridge: 'br0',
    netns: '/run/netns/a',
    pod: {},
    bootId: 'b',
    since: '2026-01-01T00:00:00.000Z',
    began: 1,
  };
}

describe('the journal', () => {
  let dir: string;
  const file = (id: string) => join(dir, 'attachments', `${id}.jsonl`);

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sn-journal-'));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  it('finds an attachment in the phase that was written last, also after a restart', async () => {
    const journal = openJournal(dir);
    const expected = attachment('a1');
    await journal.begin(expected);
    assert.deepEqual(journal.find('a1'), { attachment: expected, phase: 'adding' });
    journal.append('a1', { phase: 'added', result });
    assert.deepEqual(journal.find('a1'), { attachment: expected, phase: 'added', result });
    journal.append('a1', { phase: 'deleting' });
    const after = openJournal(dir);
    assert.deepEqual(await after.find('a1'), { attachment: expected, phase: 'deleting', result });
    assert.deepEqual(await after.list(), [{ attachment: expected, phase: 'deleting', result }]);
  });

  it('knows nothing of what was never begun or is removed; removing twice is fine', async () => {
    const journal = openJournal(dir);
    assert.equal(journal.find('a1'), undefined);
    await journal.begin(attachment('a1'));
    journal.remove('a1');
    journal.remove('a1');
    assert.equal(journal.find('a1'), undefined);
    assert.deepEqual(journal.list(), []);
  });

  it('refuses to begin twice, and keeps what was there', async () => {
    const journal = openJournal(dir);
    await journal.begin(attachment('a1'));
    journal.append('a1', { phase: 'added', result });
    await assert.rejects(journal.begin({ ...attachment('a1'), bridge: 'other' }), /a1\.jsonl can't be written: EEXIST/);
    assert.equal(journal.find('a1')?.attachment.bridge, 'br0');
    assert.equal(journal.find('a1')?.phase, 'added');
  });

  it('refuses to note anything of an attachment that was not begun', async () => {
    const journal = openJournal(dir);
    assert.throws(() => journal.append('a1', { phase: 'deleting' }), { code: 'ENOENT' });
    assert.deepEqual(await readdir(join(dir, 'attachments')), []);
  });

  it('is readable by root alone', async () => {
    const journal = openJournal(dir);
    await journal.begin(attachment('a1'));
    journal.append('a1', { phase: 'deleting' });
    assert.equal((await stat(file('a1'))).mode & 0o777, 0o600);
    assert.equal((await stat(join(dir, 'attachments'))).mode & 0o777, 0o700);
  });

  it('takes no notice of an intent that is just being written, and leaves it alone', async () => {
    const journal = openJournal(dir);
    await writeFile(file('a1'), '');
    await writeFile(file('b2'), '{"version":2,"phase":"adding","attach');
    await journal.begin(attachment('c3'));
    assert.deepEqual(
      journal.list().map((entry) => entry.attachment.id),
      ['c3'],
    );
    assert.equal(journal.find('a1'), undefined);
    assert.equal((await readdir(join(dir, 'attachments'))).length, 3);
  });

  it('forgets at start an intent that was torn before it was whole: nothing had been changed', async () => {
    openJournal(dir);
    await writeFile(file('a1'), '');
    await writeFile(file('b2'), '{"version":2,"phase":"adding","attach');
    const journal = openJournal(dir);
    assert.deepEqual(await readdir(join(dir, 'attachments')), []);
    await journal.begin(attachment('a1'));
  });

  it('leaves other files in its directory alone', async () => {
    openJournal(dir);
    await writeFile(join(dir, 'attachments', 'README'), 'x');
    assert.deepEqual(await openJournal(dir).list(), []);
    assert.deepEqual(await readdir(join(dir, 'attachments')), ['README']);
  });

  it('lists a thousand attachments', async () => {
    const journal = openJournal(dir);
    const ids = Array.from({ length: 1000 }, (_, index) => `a${String(index).padStart(4, '0')}`);
    // One after the other: a container's build may have no more than 1024 open files.
    for (const id of ids)
      await writeFile(file(id), `${JSON.stringify({ version: 2, phase: 'adding', attachment: attachment(id) })}\n`);
    assert.deepEqual(
      journal
        .list()
        .map((entry) => entry.attachment.id)
        .sort(),
      ids,
    );
  });

  it('torn at any byte says less than was done, never more, and goes on with the next line', async () => {
    const journal = openJournal(dir);
    await journal.begin(attachment('a1'));
    const begun = (await stat(file('a1'))).size;
    journal.append('a1', { phase: 'added', result });
    const added = (await stat(file('a1'))).size;
    journal.append('a1', { phase: 'deleting' });
    const whole = await readFile(file('a1'));
    for (let size = 0; size <= whole.length; size++) {
      const entry = parseEntry(whole.toString('utf8', 0, size));
      // A line counts from its closing brace on.
      const phase = size < begun - 1 ? undefined : size < added - 1 ? 'adding' : size < whole.length - 1 ? 'added' : 'deleting';
      assert.equal(entry?.phase, phase, `torn at byte ${size}`);
      assert.equal(entry?.result !== undefined, size >= added - 1);
    }
    for (let size = begun - 1; size <= whole.length; size += 7) {
      await writeFile(file('a1'), whole);
      await truncate(file('a1'), size);
      journal.append('a1', { phase: 'deleting' });
      assert.equal(journal.find('a1')?.phase, 'deleting', `torn at byte ${size}`);
    }
  });

  it('reads whatever text is in a file without failing', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.json())), (lines) => {
        assert.equal(parseEntry(lines.join('\n')), undefined);
      }),
    );
    assert.equal(parseEntry(undefined), undefined);
    for (const version of [1, 3])
      assert.equal(
        parseEntry(`${JSON.stringify({ version, attachment: attachment('a') })}\n`),
        undefined,
        `of version ${version}`,
      );
  });
});
