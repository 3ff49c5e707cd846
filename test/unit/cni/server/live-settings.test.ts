// A changed configuration of the node is taken over while the server runs, as far as its keys allow that.
import { deepEqual, equal, match } from 'node:assert/strict';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { settingsFile } from '../../../../cni/attachment/settings-file.ts';
import { followSettings, type LiveSettings } from '../../../../cni/server/live-settings.ts';
import { until } from '../../../support/until.ts';

describe("the node's configuration while the server runs", () => {
  let dir: string;
  let path: string;
  let live: LiveSettings;
  let lines: Record<string, unknown>[];

  const put = (text: string) => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  const follow = (text: string) => {
    put(text);
    lines = [];
    const write = (chunk: Buffer, _: string, done: () => void) => {
      lines.push(JSON.parse(chunk.toString()));
      done();
    };
    const file = settingsFile({ SMARTNIC_CONFIG: path, SMARTNIC_STATE_DIR: dir, NODE_NAME: 'n' });
    const log = pino({ level: 'info' }, new Writable({ write }));
    live = followSettings({ file, start: file.parse(text), log, settle: 20, tick: 60_000 });
  };
  const said = (words: string) => lines.filter(({ msg }) => msg === words);

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'live-'));
    path = join(dir, 'config.yaml');
  });
  afterEach(() => {
    live.close();
    rmSync(dir, { recursive: true });
  });

  it('takes over what a running server can, and says which keys wait for its next start', async () => {
    follow('ipamTimeout: 5\n');
    put('ipamTimeout: 6\ndraining: true\nlogLevel: warn\nsocket: /elsewhere\nkubernetes: { disabled: true }\n');
    await until(async () => live.now.ipamTimeout === 6, 'it is taken over');
    deepEqual([live.now.draining, live.now.logLevel, live.now.socket], [true, 'warn', '/run/smartnic/cni.sock']);
    deepEqual([live.waiting, live.problems], [['socket', 'kubernetes'], []]);
    deepEqual(said('configuration taken over')[0]?.['changed'], ['ipamTimeout', 'draining', 'logLevel']);
    deepEqual(said('these keys of the configuration are taken over at the next start only')[0]?.['keys'], [
      'socket',
      'kubernetes',
    ]);
    put('ipamTimeout: 6\n');
    await until(async () => live.waiting.length === 0 && !live.now.draining, 'it is as at the start again');
  });

  it('stays what it was while the file is refused, and the last good one is kept for the next start', async () => {
    follow('ipamTimeout: 5\n');
    const kept = () => JSON.parse(readFileSync(join(dir, 'last-good-config.json'), 'utf8')).text;
    put('ipamTimeout: 6\n');
    await until(async () => live.now.ipamTimeout === 6, 'it is taken over');
    put('ipamTimeout: 7\nipamTimeut: 7\n');
    await until(async () => live.problems.length > 0, 'it is refused');
    match(live.problems.join(), /config\.yaml:2: unknown key "ipamTimeut"; the keys here are /);
    deepEqual([live.now.ipamTimeout, kept()], [6, 'ipamTimeout: 6\n']);
    equal(said('configuration refused; what was in force stays in force').length, 1);
    rmSync(path);
    await until(async () => /ENOENT/.test(live.problems.join()), 'a missing file is refused, too');
    put('ipamTimeout: 7\n');
    await until(async () => live.now.ipamTimeout === 7 && live.problems.length === 0, 'the mended one is taken over');
    equal(kept(), 'ipamTimeout: 7\n');
  });
});
