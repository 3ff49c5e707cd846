import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../../../host/program/run.ts';
import { start } from '../../../../tools/program.ts';

const sh = (script: string, options = {}) => run('/bin/sh', ['-c', script], options);

describe('running a program', () => {
  it('gives its exit status and both outputs as they are, the last newline too', async () => {
    const result = await sh('echo out; printf err >&2; exit 3');
    assert.deepEqual(result, { exitCode: 3, stdout: 'out\n', stderr: 'err' });
  });

  it('hands every argument over as it is: there is no shell in between', async () => {
    const words = ['a b', '$HOME', '"', "'", '*', '', ';exit 1'];
    const { stdout } = await run('/usr/bin/printf', ['<%s>', ...words]);
    assert.equal(stdout, words.map((word) => `<${word}>`).join(''));
  });

  it('writes stdin and closes it; without input stdin is empty', async () => {
    assert.equal((await run('/bin/cat', [], { input: 'grüße\n' })).stdout, 'grüße\n');
    assert.equal((await run('/bin/cat', [])).stdout, '');
  });

  it('survives a program that ends without reading a large stdin', async () => {
    assert.equal((await sh('exit 0', { input: 'x'.repeat(4 << 20) })).exitCode, 0);
  });

  it('gives exactly the environment it is told, in the C locale', async () => {
    const { stdout } = await run('/usr/bin/env', [], { env: { ONLY: 'this', LC_ALL: 'de_DE' } });
    assert.deepEqual(stdout.trim().split('\n').sort(), ['LC_ALL=C', 'ONLY=this']);
  });

  it('gives PATH and the C locale alone when told no environment', async () => {
    const lines = (await run('/usr/bin/env', [])).stdout.trim().split('\n');
    assert.deepEqual(lines.sort(), ['LC_ALL=C', `PATH=${process.env['PATH']}`]);
  });

  it('kills what does not end in time, also when it ignores SIGTERM, and says the limit', async () => {
    const began = performance.now();
    await assert.rejects(sh("trap '' TERM; while :; do :; done", { timeout: 200 }), {
      message: '/bin/sh did not end within 200 ms and was killed',
    });
    assert.ok(performance.now() - began < 5000);
  });

  it('kills what is not wanted any more, with all that it started, and starts nothing that is not', async () => {
    const signal = AbortSignal.timeout(200);
    const began = performance.now();
    await assert.rejects(
      sh('sleep 30 & echo $!; wait', { signal }),
      /^Error: \/bin\/sh is not wanted any more \(.*timeout\) and was killed$/,
    );
    assert.ok(performance.now() - began < 3000);
    await assert.rejects(run('/no/such/program', [], { signal }), { name: 'TimeoutError' });
  });

  it('kills what says too much, and says the limit', async () => {
    await assert.rejects(run('/usr/bin/yes', [], { maxBuffer: 10_000 }), {
      message: '/usr/bin/yes wrote more than 10000 bytes and was killed',
    });
  });

  it('throws for a program that is not there, is not executable or was killed, naming it and the reason', async () => {
    await assert.rejects(run('/no/such/program', []), /\/no\/such\/program: .*ENOENT/);
    await assert.rejects(run('/etc/passwd', []), /\/etc\/passwd: .*EACCES/);
    await assert.rejects(run('/etc/passwd', []), /; it is not executable, or lies on a file system mounted noexec$/);
    await assert.rejects(sh('echo why >&2; kill -9 $$'), { message: '/bin/sh died of signal 9: why' });
  });

  it('says of a file that can not be started what it lacks', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sn-run-'));
    const script = (text: string) => {
      const path = join(directory, 'script');
      writeFileSync(path, text, { mode: 0o755 });
      return path;
    };
    try {
      await assert.rejects(run(script('#!/no/shell\n'), []), /script: ENOENT .*; the file is there, but not what runs it/);
      await assert.rejects(
        run(script('echo without a first line\n'), []),
        /script: ENOEXEC .*; .* nor a script whose first line/,
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('says what to do when no descriptors are left, and leaves neither a running program nor a zombie nor an open file', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sn-run-'));
    const script = join(import.meta.dirname, '../../../support/few-descriptors.ts');
    try {
      const { stdout } = await start('prlimit', ['--nofile=100', process.execPath, script, join(directory, 'file')], {
        timeout: 50_000,
      });
      const told = stdout.split('\n').map((line) => JSON.parse(line));
      const failed = told.filter(({ outcome }) => outcome !== 'exit 0');
      const calls = failed.map(
        ({ outcome }) => /^start \/bin\/sh: (\w+): EMFILE .*; .*\/fd lists them$/.exec(outcome)?.[1] ?? outcome,
      );
      assert.deepEqual(calls, ['memfd_create', 'memfd_create', 'memfd_create', 'pidfd_open']);
      assert.deepEqual(
        told.map(({ ran, more, children }) => [ran, more, children]),
        told.map(({ outcome }) => [outcome === 'exit 0', 0, '']),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
