import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findProcess, isRunning, processOf } from '../../../supervisor/processes.ts';
import { until } from '../../support/until.ts';

/** exit(2) as the kernel has it: it ends the thread that calls it and no other. */
const exitNumber = process.arch === 'arm64' ? 93 : 60;

describe('a process that is not our child', () => {
  const start = (script: string, word = '') => {
    const child = spawn(process.execPath, ['-e', script, word], { stdio: 'ignore', cwd: import.meta.dirname });
    assert(child.pid !== undefined);
    return { child, pid: child.pid };
  };

  it('is found by a whole word of its command line, and is told from another one that has its number later', async () => {
    const { child, pid } = start('setTimeout(() => {}, 60_000)', 'word=4711');
    await until(async () => findProcess('word=4711') !== undefined, 'it is found');
    const found = findProcess('word=4711');
    assert.equal(found?.pid, pid);
    assert.equal(findProcess('word=47'), undefined);
    assert(found !== undefined && isRunning(found) && !isRunning({ ...found, started: found.started - 1 }));
    child.kill('SIGKILL');
    await until(async () => !isRunning(found), 'it is gone');
  });

  it('runs as long as one of its threads does: its files are open till then', async () => {
    const libc = `require('koffi').load('libc.so.6').func('long syscall(long, long)')`;
    const { child, pid } = start(`${libc}(${exitNumber}, 0)`);
    const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0];
    await until(async () => state() === 'Z', 'its first thread has ended');
    assert.notEqual(processOf(pid), undefined);
    child.kill('SIGKILL');
    await until(async () => processOf(pid) === undefined, 'it is gone');
  });
});
