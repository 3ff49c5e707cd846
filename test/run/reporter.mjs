// mocha's own report, and three things more: how long each file took; after each test the counts, for test/run/main.ts, in the folder that
// SMARTNIC_COUNTS names; and an end of the process even if the tests have left something open.
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Runner, reporters } from 'mocha';

const { EVENT_RUN_END, EVENT_SUITE_BEGIN, EVENT_SUITE_END, EVENT_TEST_PASS, EVENT_TEST_FAIL, EVENT_TEST_PENDING } =
  Runner.constants;

/** Milliseconds that what the tests have opened may take to close after the last of them. */
const patience = 30_000;

export default class Reporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    tellTimes(runner);
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

/** At the end of a run of several files: the seconds of each that took one or more, the longest first. */
function tellTimes(runner) {
  const [began, took] = [new Map(), new Map()];
  runner.on(EVENT_SUITE_BEGIN, (suite) => {
    if (suite.parent?.root) began.set(suite, performance.now());
  });
  runner.on(EVENT_SUITE_END, (suite) => {
    if (!began.has(suite)) return;
    const seconds = (performance.now() - began.get(suite)) / 1000;
    took.set(suite.file, (took.get(suite.file) ?? 0) + seconds);
  });
  runner.once(EVENT_RUN_END, () => {
    if (took.size < 2) return;
    const long = [...took].filter(([, seconds]) => seconds >= 1).toSorted(([, a], [, b]) => b - a);
    const lines = long.map(([file, seconds]) => `${seconds.toFixed(0).padStart(5)} s ${relative(process.cwd(), file)}`);
    console.log(['\n  how long each file took', ...lines, ''].join('\n'));
  });
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
