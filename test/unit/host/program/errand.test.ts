// Errands to the kernel: on ordinary files, and on files where the kernel holds whoever touches them.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Unavailable } from '../../../../host/base/errors.ts';
import { claimFile } from '../../../../host/files/file-lock.ts';
import { SystemError } from '../../../../host/kernel/libc.ts';
import { encodeMessage } from '../../../../host/netlink/wire/codec.ts';
import { goErrand } from '../../../../host/program/errand.ts';
import { run } from '../../../../host/program/run.ts';
import { type HeldFiles, skipWithoutFuse, startHeldFiles } from '../../../support/held-files.ts';
import { until } from '../../../support/until.ts';

const limit = 5000;

describe('an errand to the kernel', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'errand-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('writes what it was given, reads what is there, and opens', async () => {
    const object = join(folder, 'file');
    writeFileSync(object, 'longer than before');
    const note = join(folder, 'note');
    await goErrand({ attempt: 'write', verb: 'write', object, input: '0000:41:10.0', note, limit });
    assert.equal(readFileSync(object, 'utf8'), '0000:41:10.0');
    assert.equal(String(await goErrand({ attempt: 'read', verb: 'read', object, note, limit })), '0000:41:10.0');
    await goErrand({ attempt: 'open', verb: 'open', object, limit });
  });

  it('says what was attempted and what the kernel answered when it refuses', async () => {
    const going = goErrand({ attempt: 'unbind it', verb: 'write', object: join(folder, 'none'), limit });
    await assert.rejects(
      going,
      (error) => error instanceof SystemError && error.code === 'ENOENT' && /^unbind it: /.test(error.message),
    );
    assert.deepEqual(readdirSync(folder), [], 'it made a file');
  });

  it('asks over netlink, several things in one datagram', async () => {
    const index = Buffer.alloc(16);
    index.writeInt32LE(1, 4);
    const getLo = encodeMessage({ type: 18, flags: 5, seq: 1, pid: 0, body: index }); // RTM_GETLINK
    const answer = await goErrand({ attempt: 'ask', verb: 'netlink', object: '0', input: Buffer.concat([getLo, getLo]), limit });
    assert.match(answer.toString('latin1'), /lo\0.*lo\0/s);
  });

  it('that gets stuck is ended where that is possible, and can be sent again', async () => {
    await run('mkfifo', [join(folder, 'fifo')]);
    const errand = { attempt: 'read it', verb: 'read', object: join(folder, 'fifo'), note: join(folder, 'note') } as const;
    for (const _ of [1, 2]) {
      await assert.rejects(
        goErrand({ ...errand, limit: 100 }),
        (error) => error instanceof Unavailable && error.message === 'read it: the kernel has not done it within 0.1 s',
      );
    }
  });
});

describe('an errand that the kernel keeps', function () {
  this.timeout(30_000);
  let folder: string;
  let files: HeldFiles;
  before(skipWithoutFuse);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'errand-'));
    files = startHeldFiles();
  });
  afterEach(async () => {
    await files[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  const kept = () =>
    ({ attempt: 'unbind a from b', verb: 'write', object: files.file, input: 'a', note: join(folder, 'a') }) as const;

  it('is given up with the number of its process, and no second one is sent until it is back', async () => {
    await assert.rejects(goErrand({ ...kept(), limit: 100 }), (error) => {
      assert.ok(error instanceof Unavailable);
      assert.match(
        error.message,
        /^unbind a from b: the kernel has not done it within 0\.1 s and still keeps process \d+ of ours \(pgrep/,
      );
      return true;
    });
    const [pid] = await pidsOf(files.file);
    const began = performance.now();
    await assert.rejects(
      goErrand({ attempt: 'set the override of a', verb: 'read', object: '/proc/version', note: join(folder, 'a'), limit }),
      (error) => {
        assert.ok(error instanceof Unavailable);
        const words = `still under way since \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z: write ${files.file}, which the kernel keeps process ${pid} `;
        assert.match(error.message, new RegExp(`^set the override of a: ${words}`));
        return true;
      },
    );
    assert.ok(performance.now() - began < 1000);
    assert.deepEqual(await pidsOf(files.file), [pid]);
    await goErrand({ attempt: 'another device', verb: 'read', object: '/proc/version', note: join(folder, 'b'), limit });
    await files.release();
    await until(async () => (await pidsOf(files.file)).length === 0, 'the end of the errand, no zombie left');
    await goErrand({ attempt: 'again', verb: 'read', object: '/proc/version', note: join(folder, 'a'), limit });
  });

  it('is not sent again with the same question, where that is asked for, and others are', async () => {
    const errand = (question: string, object = files.file) =>
      goErrand({ attempt: `ask ${question}`, verb: 'read', object, question, limit: object === files.file ? 100 : limit });
    await assert.rejects(
      errand('this'),
      /^Unavailable: ask this: the kernel has not done it within 0\.1 s and still keeps process/,
    );
    for (const _ of [1, 2])
      await assert.rejects(errand('this'), /^Unavailable: ask this: still under way since \S+Z, in process \d+ of ours/);
    assert.equal((await pidsOf(files.file)).length, 1);
    await errand('that', '/proc/version');
    await files.release();
    await until(async () => (await errand('this', '/proc/version').catch(() => undefined)) !== undefined, 'the next answer');
  });

  it('has nothing of ours: no lock, no descriptor but its own', async () => {
    assert.ok(claimFile(join(folder, 'lock')));
    await assert.rejects(goErrand({ ...kept(), limit: 100 }), Unavailable);
    const [pid] = await pidsOf(files.file);
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    const streams = ['/memfd:stdin (deleted)', '/memfd:stdout (deleted)', '/memfd:stderr (deleted)'];
    assert.deepEqual(open.toSorted(), [...streams, join(folder, 'a')].toSorted());
  });

  it('keeps us from nothing: not from our end, not from taking what we held', async () => {
    const source = (path: string) => new URL(`../../../../host/${path}`, import.meta.url);
    const script = `
      const { claimFile } = await import('${source('files/file-lock.ts')}');
      const { goErrand } = await import('${source('program/errand.ts')}');
      claimFile(process.argv[1]);
      const going = { attempt: 'a', verb: 'write', object: '${files.file}', input: 'a', limit: 100 };
      for (const note of Array(20).keys()) await goErrand({ ...going, note: '${folder}/' + note }).catch(() => {});
      const { readFile } = await import('node:fs/promises');
      if (await readFile('/proc/version')) console.log('going on');
      ${'if (process.argv[1]) process.exit(0)'};
    `
      .replace('require(', '(await import(')
      .replace("'node:fs')", "'node:fs'))");
    for (const how of [[], ['exit']]) {
      const lock = join(folder, `lock-${how.length}`);
      const began = performance.now();
      const args = ['--input-type=module', '--eval', script, lock, ...how];
      const { stdout, exitCode, stderr } = await run(process.execPath, args, { timeout: 15_000 });
      assert.deepEqual([exitCode, stdout, stderr], [0, 'going on\n', '']);
      assert.ok(performance.now() - began < 12_000);
      assert.ok(claimFile(lock), 'the lock is still held');
    }
  });
});

/** Of the errands that have this file as their object. */
async function pidsOf(object: string): Promise<readonly string[]> {
  await sleep(10);
  const { stdout } = await run('pgrep', ['--full', `smartnic-errand .* ${object}$`]);
  return stdout.split('\n').filter((line) => line !== '');
}
