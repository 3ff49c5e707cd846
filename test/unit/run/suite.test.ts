// One suite of `npm test`, and its result when a script fails or hangs.
import { deepEqual, equal } from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSuite } from '../../run/suite.ts';

describe('a suite', () => {
  let counts: string;
  beforeEach(() => {
    counts = mkdtempSync(join(tmpdir(), 'sn-counts-'));
  });
  afterEach(() => rmSync(counts, { recursive: true }));
  const suite = (...script: readonly string[]) => ({ name: 'x', scripts: [script, ['no-such-script']], seconds: 100 });

  it('fails with its first script that does, runs none after that, and gives what mocha has counted until then', async () => {
    writeFileSync(join(counts, '1.json'), '{"passed":3,"failed":1,"skipped":0}');
    writeFileSync(join(counts, '2.json'), '{"passed":2,"failed":0,"skipped":4}');
    const { state, passed, failed, skipped } = await runSuite(suite('setup', 'nonsense'), { counts, most: 60 });
    deepEqual([state, passed, failed, skipped], ['failed', 5, 1, 4]);
    deepEqual(readdirSync(counts), [], 'the next suite begins with none');
  });

  it('is killed when the time is up', async () => {
    equal((await runSuite(suite('setup', 'packages'), { counts, most: 0.05 })).state, 'hung');
  });
});
