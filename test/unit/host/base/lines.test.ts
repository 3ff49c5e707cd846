import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLines } from '../../../../host/base/lines.ts';
import { runSync } from '../../../../tools/program.ts';

describe('lines', () => {
  let dir: string;
  const open: number[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'sn-lines-'));
  });
  afterEach(() => {
    for (const fd of open.splice(0)) closeSync(fd);
    rmSync(dir, { recursive: true });
  });

  const opened = (path: string, flags: number | string) => {
    const fd = openSync(path, flags);
    open.push(fd);
    return fd;
  };
  const pipe = () => {
    const path = join(dir, 'pipe');
    runSync('mkfifo', [path]);
    const reader = opened(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return { reader, writer: opened(path, 'w') };
  };
  const notice = (lost: number) => `${lost} lost\n`;
  const readAll = (fd: number): string => {
    const bytes = Buffer.alloc(1 << 20);
    let text = '';
    try {
      for (let size = 1; size > 0; text += bytes.toString('utf8', 0, size)) size = readSync(fd, bytes);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    }
    return text;
  };

  it('are appended to a file, behind what others write there', () => {
    const path = join(dir, 'file');
    const fd = opened(path, 'a');
    const lines = openLines(fd, notice);
    lines.write('one\n');
    openLines(opened(path, 'a'), notice).write('other\n');
    lines.write('two\n');
    assert.equal(readFileSync(path, 'utf8'), 'one\nother\ntwo\n');
  });

  it('to a full disk, to nobody, or to a closed descriptor are lost without a word', () => {
    openLines(opened('/dev/full', 'w'), notice).write('lost\n');
    const { reader, writer } = pipe();
    const lines = openLines(writer, notice);
    open.splice(open.indexOf(reader), 1);
    closeSync(reader);
    lines.write('lost\n');
    const closed = openSync('/dev/null', 'w');
    closeSync(closed);
    openLines(closed, notice).write('lost\n');
  });

  it('to a pipe that nobody empties hold nobody up; what was lost is counted, and no line is torn', () => {
    const { reader, writer } = pipe();
    const lines = openLines(writer, notice);
    const line = (at: number) => `${at} ${'x'.repeat(5000)}\n`;
    for (let at = 0; at < 30; at++) lines.write(line(at));
    const first = readAll(reader);
    lines.write('after\n');
    const all = `${first}${readAll(reader)}`.split('\n').slice(0, -1);
    const whole = all.findIndex((text) => text.endsWith(' lost'));
    assert.ok(whole > 5 && whole < 20, String(whole));
    assert.deepEqual(all.slice(0, whole).map((text) => `${text}\n`), Array.from({ length: whole }, (_, at) => line(at))); // biome-ignore format: one thought
    assert.deepEqual(all.slice(whole), [`${30 - whole} lost`, 'after']);
  });
});
