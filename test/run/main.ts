// What `npm test` and `npm run test:long` run: suites, one after the other, each with a limit in time. At the end: how long each took, and one line
// that counts all tests.
//   node test/run/main.ts NAME… [--beside SCRIPT]… [--part N/M] [--from TEXT] [--until SECONDS]
// NAME      a script of package.json, or `long` for all of `long` in suites.ts
// --beside  runs this script meanwhile, in the time that the suites leave. `build:x` is waited for before `test:x`, and all are before `long`
// --part    only the Nth of M parts of the long suites
// --from    begin with a long suite that depends on this text, such as a commit's hash
// --until   seconds since 1970. Begins no long suite that would not end by then, and kills what still runs five minutes later
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import '../../tools/path.ts';
import { messageOf } from '../../host/base/errors.ts';
import { runBeside } from './beside.ts';
import { chosenPart, parsePart, startingFrom, whyNot } from './parts.ts';
import { closingLine, isGood, report } from './report.ts';
import { type Outcome, runSuite } from './suite.ts';
import { long, type Suite, scriptSuite } from './suites.ts';

/** Seconds that a suite may still run when the time is up. */
const grace = 300;

async function main(args: readonly string[]): Promise<boolean> {
  const { names, beside, part, from, until } = parse(args);
  const ahead = runBeside(beside);
  const counts = mkdtempSync(join(tmpdir(), 'sn-counts-'));
  const left = () => until - Date.now() / 1000;
  const outcomes: Outcome[] = [];
  const go = async (suite: Suite) => void outcomes.push(await runSuite(suite, { counts, most: left() + grace }));
  try {
    for (const name of names) {
      await ahead.waitFor(name);
      if (name !== 'long') await go(scriptSuite(name));
      else
        for (const suite of startingFrom(from, chosenPart(part, long))) {
          const why = whyNot(suite, { left: left(), outcomes });
          if (why === undefined) await go(suite);
          else outcomes.push({ suite, seconds: 0, state: why, passed: 0, failed: 0, skipped: 0 });
        }
      if (name === 'setup') ahead.begin();
    }
  } finally {
    rmSync(counts, { recursive: true });
  }
  const inCi = process.env['CI'] === 'true';
  console.log(report(outcomes, inCi));
  console.log(closingLine(outcomes, inCi));
  return isGood(outcomes, inCi);
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = { beside: { ...text, multiple: true }, part: text, from: text, until: text } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  return {
    names: positionals,
    beside: values.beside ?? [],
    part: parsePart(values.part ?? '1/1'),
    from: values.from,
    until: Number(values.until ?? Number.POSITIVE_INFINITY),
  };
}

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  console.error(`tests: ${messageOf(error)}`);
  process.exitCode = 2;
}
