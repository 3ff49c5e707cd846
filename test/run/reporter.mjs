// mocha's own report; its counts in the folder that SMARTNIC_COUNTS names, up to date after each test, for test/run/main.ts; and an end, whatever
// the tests have left open.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Runner, reporters } from 'mocha';

const { EVENT_RUN_END, EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING } = Runner.constants;

/** Milliseconds that what the tests have opened may take to close after the last of them. */
const patience = 30_000;

export default class Reporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once(EVENT_RUN_END, () => setTimeout(giveUp, patience).unref());
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

/** Runs only if something keeps this process alive: a timer alone does not. */
function giveUp() {
  const open = process.getActiveResourcesInfo().filter((name) => name !== 'Timeout');
  console.error(`the tests are over, but this is open still after ${patience / 1000} s: ${open.join(', ')}`);
  // mocha sets the exit status in a handler of its own, which came before.
  process.once('exit', () => {
    process.exitCode = 1;
  });
  process.exit();
}
