import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HungError, run } from '../../../tools/program.ts';
import { until } from '../../support/until.ts';

describe('a program of a build or a test', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'program-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const isThere = (pid: string) => existsSync(`/proc/${pid}`);

  it('gives what execa gives, and throws what execa throws', async () => {
    const { stdout, exitCode } = await run('sh', ['-c', 'echo out; exit 3'], { reject: false });
    assert.deepEqual([stdout, exitCode], ['out', 3]);
    await assert.rejects(run('sh', ['-c', 'echo why >&2; exit 3']), /exit code 3: sh -c 'echo why >&2; exit 3'\s+why/);
  });

  it('is killed when it hangs, with what it started, in another session too; its command line is told', async () => {
    const script = 'sleep 90 & echo $! >one; setsid sh -c "echo \\$\\$ >two; sleep 91" & sleep 92';
    const hangs = run('sh', ['-c', script], { cwd: dir, seconds: 1 });
    await assert.rejects(hangs, new HungError(['sh', '-c', script], 1));
    const pids = ['one', 'two'].map((name) => readFileSync(join(dir, name), 'utf8').trim());
    await until(async () => !pids.some(isThere), 'they are gone');
  });

  it('is tried once more where that is allowed, and no third time', async () => {
    const hangsOnce = '[ -e begun ] && exit; touch begun; sleep 90';
    assert.equal((await run('sh', ['-c', hangsOnce], { cwd: dir, seconds: 1, tries: 2 })).exitCode, 0);
    await assert.rejects(run('sleep', ['90'], { seconds: 0.2, tries: 2 }), HungError);
  });
});
