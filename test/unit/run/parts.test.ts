// The choice of long suites, and what a run of tests prints at its end.
import { deepEqual, equal, throws } from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { chosenPart, fits, parsePart, startingFrom, whyNot } from '../../run/parts.ts';
import { closingLine, isGood, report } from '../../run/report.ts';
import type { Outcome } from '../../run/suite.ts';
import { long, type Suite, scriptSuite } from '../../run/suites.ts';

const suite = (name: string, seconds: number): Suite => ({ name, scripts: [[name]], seconds });
const suites = [suite('a', 100), suite('b', 700), suite('c', 300), suite('d', 350), suite('e', 50)];
const names = (some: readonly Suite[]) => some.map(({ name }) => name).join('');
const ended = (name: string, more: Partial<Outcome> = {}): Outcome => ({
  ...{ suite: suite(name, 100), seconds: 100, state: 'good', passed: 10, failed: 0, skipped: 0 },
  ...more,
});

describe('the long suites', () => {
  it('are the files that end in .long.ts, each in one suite, and again with other kubelets', () => {
    const files = readdirSync(join(import.meta.dirname, '../..'), { recursive: true, encoding: 'utf8' });
    const named = long
      .filter(({ env }) => env === undefined)
      .flatMap(({ scripts }) => scripts.flat().filter((word) => word.endsWith('.long.ts')));
    deepEqual(named.toSorted(), files.flatMap((name) => (name.endsWith('.long.ts') ? [`test/${name}`] : [])).toSorted());
  });

  it('fall into parts of about the same length, each suite into one', () => {
    const parts = [1, 2, 3].map((number) => chosenPart({ number, of: 3 }, suites));
    deepEqual(parts.map(names), ['b', 'de', 'ca']);
    equal(names(chosenPart({ number: 1, of: 1 }, suites)).length, suites.length);
  });

  it('begin with another one when the commit is another', () => {
    equal(names(startingFrom(undefined, suites)), 'abcde');
    const firsts = new Set(['1f', '2e', '3d', '4c', '5b', '6a'].map((commit) => names(startingFrom(commit, suites))[0]));
    equal(firsts.size > 2, true);
    equal(names(startingFrom('5b', suites)).length, suites.length);
    deepEqual(startingFrom('5b', []), []);
  });

  it('are begun only if they end in the time that is left, on a machine that was slow so far too', () => {
    equal(fits(suite('x', 300), 300, []), true);
    equal(fits(suite('x', 301), 300, [ended('fast', { seconds: 10 })]), false);
    equal(fits(suite('x', 160), 300, [ended('slow', { seconds: 200 })]), false);
    equal(fits(suite('x', 160), 300, [ended('slow', { seconds: 200 }), ended('late', { state: 'no time', seconds: 0 })]), false);
  });

  it('are only named, with the reason, where time is limited and they have never been green', () => {
    const young = { ...suite('young', 10), unproven: 'which is young' };
    equal(whyNot(young, { left: 1000, outcomes: [] }), 'unproven');
    equal(whyNot(young, { left: Number.POSITIVE_INFINITY, outcomes: [] }), undefined);
    equal(whyNot(suite('old', 10), { left: 5, outcomes: [] }), 'no time');
    const outcomes = [ended('a'), { ...ended('young', { state: 'unproven', seconds: 0, passed: 0 }), suite: young }];
    equal(report(outcomes, true).split('\n').at(-1), 'did not run: young, which is young');
    equal(isGood(outcomes, true), true);
  });

  it('take a part in the form N/M alone', () => {
    deepEqual(parsePart('2/3'), { number: 2, of: 3 });
    for (const text of ['0/3', '4/3', '2', 'a/b', '1/3x']) throws(() => parsePart(text), /N\/M is wanted/);
  });
});

describe('a run of tests', () => {
  it('ends with a line that counts all tests, and is good when none failed', () => {
    const good = [ended('a'), ended('b', { skipped: 1 }), ended('c', { state: 'no time', seconds: 0, passed: 0 })];
    equal(closingLine(good, false), '20 passed, 0 failed, 1 skipped');
    equal(isGood(good, false), true);
    equal(report(good, false).split('\n').at(-1), 'did not run, for lack of time: c');
  });

  it('is bad in CI when a test was skipped or a suite was not possible', () => {
    const skipping = [ended('a', { skipped: 1 })];
    equal(isGood(skipping, true), false);
    equal(report(skipping, true).split('\n').at(-1), 'tests were skipped, and in CI none may be');
    const lacking = [ended('a'), ended('b', { state: 'impossible', passed: 0 })];
    equal(closingLine(lacking, false), '10 passed, 0 failed, 1 skipped');
    equal(closingLine(lacking, true), '10 passed, 1 failed, 0 skipped');
    equal(isGood(lacking, true), false);
  });

  it('counts a suite that failed without a failed test, or hung, as a failed one', () => {
    const broken = [
      ended('check', { state: 'failed', passed: 0 }),
      ended('b', { state: 'hung' }),
      ended('c', { state: 'failed', failed: 2 }),
    ];
    equal(closingLine(broken, false), '20 passed, 4 failed, 0 skipped');
    equal(isGood(broken, false), false);
  });

  it('knows how long the scripts take that it is told to run', () => {
    equal(scriptSuite('check').seconds > 0, true);
    throws(() => scriptSuite('chekc'), /no suite "chekc"; there are: .*check.*, long$/);
  });
});
