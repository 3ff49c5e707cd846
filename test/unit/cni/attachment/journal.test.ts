import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Attachment } from '../../../../cni/attachment/attachment.ts';
import { openJournal } from '../../../../cni/attachment/journal.ts';
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
    const journal = await openJournal(dir);
    const expected = attachment('a1');
    await journal.begin(expected);
    assert.deepEqual(journal.find('a1'), { attachment: expected, phase: 'adding' });
    journal.append('a1', { phase: 'added', result });
    assert.deepEqual(journal.find('a1'), { attachment: expected, phase: 'added', result });
    journal.append('a1', { phase: 'deleting' });
    const after = await openJournal(dir);
    assert.deepEqual(await after.find('a1'), { attachment: expected, phase: 'deleting', result });
    assert.deepEqual(await after.list(), [{ attachment: expected, phase: 'deleting', result }]);
  });

  it('knows nothing of what was never begun or is removed; removing twice is fine', async () => {
    const journal = await openJournal(dir);
    assert.equal(journal.find('a1'), undefined);
    await journal.begin(attachment('a1'));
    journal.remove('a1');
    journal.remove('a1');
    assert.equal(journal.find('a1'), undefined);
    assert.deepEqual(journal.list(), []);
  });

  it('refuses to begin twice, and keeps what was there', async () => {
    const journal = await openJournal(dir);
    await journal.begin(attachment('a1'));
    journal.append('a1', { phase: 'added', result });
    await assert.rejects(journal.begin({ ...attachment('a1'), bridge: 'other' }), /a1\.jsonl can't be written: EEXIST/);
    assert.equal(journal.find('a1')?.attachment.bridge, 'br0');
    assert.equal(journal.find('a1')?.phase, 'added');
  });

  it('refuses to note anything of an attachment that was not begun', async () => {
    const journal = await openJournal(dir);
    assert.throws(() => journal.append('a1', { phase: 'deleting' }), /ENOENT/);
    assert.deepEqual(await readdir(join(dir, 'attachments')), []);
  });

  it('is readable by root alone', async () => {
    const journal = await openJournal(dir);
    await journal.begin(attachment('a1'));
    journal.append('a1', { phase: 'deleting' });
    assert.equal((await stat(file('a1'))).mode & 0o777, 0o600);
    assert.equal((await stat(join(dir, 'attachments'))).mode & 0o777, 0o700);
  });

  it('takes no notice of an intent that is just being written, and leaves it alone', async () => {
    const journal = await openJournal(dir);
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
    await openJournal(dir);
    await writeFile(file('a1'), '');
    await writeFile(file('b2'), '{"version":2,"phase":"adding","attach');
    const journal = await openJournal(dir);
    assert.deepEqual(await readdir(join(dir, 'attachments')), []);
    await journal.begin(attachment('a1'));
  });

  it('leaves other files in its directory alone', async () => {
    await openJournal(dir);
    await writeFile(join(dir, 'attachments', 'README'), 'x');
    assert.deepEqual((await openJournal(dir)).list(), []);
    assert.deepEqual(await readdir(join(dir, 'attachments')), ['README']);
  });

  it('lists a thousand attachments', async () => {
    const journal = await openJournal(dir);
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

  it('goes on behind a line that was torn at any byte', async () => {
    const journal = await openJournal(dir);
    await journal.begin(attachment('a1'));
    const begun = (await stat(file('a1'))).size;
    journal.append('a1', { phase: 'added', result });
    journal.append('a1', { phase: 'deleting' });
    const whole = await readFile(file('a1'));
    for (let size = begun - 1; size <= whole.length; size += 7) {
      await writeFile(file('a1'), whole);
      await truncate(file('a1'), size);
      journal.append('a1', { phase: 'deleting' });
      assert.equal(journal.find('a1')?.phase, 'deleting', `torn at byte ${size}`);
    }
  });

  it('notes a deletion that is tried again and again once', async () => {
    const journal = await openJournal(dir);
    await journal.begin(attachment('a1'));
    for (let tries = 0; tries < 20; tries++) journal.append('a1', { phase: 'deleting' });
    assert.equal((await readFile(file('a1'), 'utf8')).split('deleting').length - 1, 1);
  });

  it('opens an entry of 125 000 lines at once, and makes it short', async () => {
    const journal = await openJournal(dir);
    await journal.begin(attachment('a1'));
    journal.append('a1', { phase: 'added', result });
    await appendFile(file('a1'), '\n{"phase":"deleting"}\n'.repeat(125_000));
    const began = performance.now();
    assert.equal(journal.find('a1')?.phase, 'deleting');
    const after = await openJournal(dir);
    assert.ok(performance.now() - began < 1000, `it took ${performance.now() - began} ms`);
    assert.deepEqual(after.find('a1'), { attachment: attachment('a1'), phase: 'deleting', result });
    assert.ok((await stat(file('a1'))).size < 2000);
    assert.deepEqual(await readdir(join(dir, 'attachments')), ['a1.jsonl']);
  });

  it('leaves alone what it can not read or understand, says so, and serves the rest', async () => {
    const journal = await openJournal(dir);
    await journal.begin(attachment('a1'));
    await mkdir(file('b2'));
    const odd = {
      c3: `${JSON.stringify({ version: 3, attachment: attachment('c3') })}\n`,
      d4: `${JSON.stringify({ version: 2, phase: 'adding', attachment: attachment('a1') })}\n`,
      e5: 'garbage\nmore of it\n',
      f6: `${JSON.stringify({ version: 2, phase: 'adding', attachment: { ...attachment('f6'), vnicType: 'newer' } })}\n`,
    };
    for (const [id, text] of Object.entries(odd)) await writeFile(file(id), text);
    const after = await openJournal(dir);
    assert.deepEqual(
      after.list().map((entry) => entry.attachment.id),
      ['a1'],
    );
    const problems = after.problems().toSorted();
    assert.equal(problems.length, 5);
    const why = [
      /b2.*EISDIR/,
      /c3.*its version is 3, and this server reads 2/,
      /d4.*named after/,
      /e5.*not JSON/,
      /f6.*its vnic type is newer/,
    ];
    for (const [at, words] of why.entries()) assert.match(problems[at] ?? '', words);
    assert.throws(() => after.find('c3'), /c3\.jsonl can't be read and is left alone/);
    assert.throws(() => after.remove('c3'), /can't be read and is left alone/);
    assert.equal(await readFile(file('c3'), 'utf8'), odd.c3);
    await assert.rejects(after.begin(attachment('b2')), /b2\.jsonl can't be written: EEXIST/);
  });
});
