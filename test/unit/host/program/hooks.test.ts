// Hooks as real small programs in a directory of the test's own.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { type HookCall, runHooks } from '../../../../host/program/hooks.ts';
import { run } from '../../../../host/program/run.ts';

describe('hooks', () => {
  let root: string;
  const log: string[] = [];
  const machine = () => ({ root, run, log: pino({ base: null }, { write: (line: string) => void log.push(line) }) });
  const call = (more: Partial<HookCall> = {}): HookCall => ({
    directory: '/hooks.d',
    timeout: 5000,
    event: 'before-plug',
    input: { attachment: { ifname: 'net1' } },
    ...more,
  });
  const hook = (name: string, script: string, mode = 0o755) => {
    writeFileSync(join(root, 'hooks.d', name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(root, 'hooks.d', name), mode);
  };

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sn-hooks-'));
    mkdirSync(join(root, 'hooks.d'));
    log.length = 0;
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('are told the event as argument, and version, event and all the rest as JSON on stdin', async () => {
    hook('10-tell', 'echo "$1"; cat');
    const [printed = ''] = await runHooks(machine(), call());
    const [argument, json] = printed.split('\n');
    assert.equal(argument, 'before-plug');
    assert.deepEqual(JSON.parse(json ?? ''), { version: 1, event: 'before-plug', attachment: { ifname: 'net1' } });
  });

  it('run in the order of their names, and what is no program of a plain name does not run', async () => {
    for (const name of ['20-b', '10-a', '10-a.bak', '.hidden', '30-c~', 'README.md']) hook(name, `echo ${name}`);
    hook('40-not-executable', 'echo never', 0o644);
    mkdirSync(join(root, 'hooks.d', '50-directory'));
    assert.deepEqual(await runHooks(machine(), call()), ['10-a', '20-b']);
  });

  it('stop at the first that fails, with its own words', async () => {
    hook('10-vendor', 'echo "firmware 1.2 is too old" >&2; exit 3');
    hook('20-never', `touch ${join(root, 'ran')}`);
    await assert.rejects(runHooks(machine(), call()), {
      message: 'hook 10-vendor at before-plug ended with status 3: firmware 1.2 is too old',
    });
    assert.throws(() => rmSync(join(root, 'ran')));
    hook('10-vendor', 'exit 1');
    await assert.rejects(runHooks(machine(), call()), /ended with status 1: without a word on stderr/);
  });

  it('are killed when they take too long or say too much, and the error says which', async () => {
    hook('10-slow', 'sleep 60');
    await assert.rejects(runHooks(machine(), call({ timeout: 200 })), /hook 10-slow at before-plug: .*did not end within 200 ms/);
    rmSync(join(root, 'hooks.d/10-slow'));
    hook('10-loud', 'while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done');
    await assert.rejects(runHooks(machine(), call()), /hook 10-loud at before-plug: .*wrote more than 65536 bytes/);
  });

  it('leave what they say on stderr in the log', async () => {
    hook('10-talk', 'echo done it >&2');
    await runHooks(machine(), call());
    assert.match(log.join(''), /"hook":"10-talk".*"stderr":"done it"/);
  });

  it('may be none, but their directory must be there, unless it is for taking something away', async () => {
    assert.deepEqual(await runHooks(machine(), call({ directory: '/nowhere', event: 'after-unplug' })), []);
    assert.deepEqual(await runHooks(machine(), call()), []);
    await assert.rejects(
      runHooks(machine(), call({ directory: '/nowhere' })),
      /there is no directory \/nowhere; create it, or take "hooks" out/,
    );
  });
});
