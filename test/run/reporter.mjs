// mocha's own report; and its counts in the folder that SMARTNIC_COUNTS names, up to date after each test, for test/run/main.ts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Runner, reporters } from 'mocha';

const { EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING } = Runner.constants;

export default class Reporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const folder = process.env.SMARTNIC_COUNTS;
    if (folder === undefined) return;
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const kinds = { [EVENT_TEST_PASS]: 'passed', [EVENT_TEST_FAIL]: 'failed', [EVENT_TEST_PENDING]: 'skipped' };
    for (const [event, kind] of Object.entries(kinds))
      runner.on(event, () => {
        counts[kind] += 1;
        writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify(counts));
      });
  }
}
