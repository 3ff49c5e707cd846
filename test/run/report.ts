// What a run of tests says at its end.
import { table } from '../support/table.ts';
import type { Counts, Outcome } from './suite.ts';

const words: Readonly<Record<Outcome['state'], string>> = {
  good: '',
  failed: 'FAILED',
  hung: 'HUNG, and was killed',
  impossible: 'not possible here, see above',
  'no time': 'did not run: no time was left',
  unproven: 'did not run: see below',
};

/** A row for each suite, and what is to be said of all. */
export function report(outcomes: readonly Outcome[], inCi: boolean): string {
  const rows = outcomes.map(({ suite, seconds, state, passed, failed, skipped }) => [
    ...[
      suite.name,
      state === 'no time' || state === 'unproven' ? '' : clock(seconds),
      String(passed),
      String(failed),
      String(skipped),
    ],
    words[state],
  ]);
  const all = clock(outcomes.reduce((sum, { seconds }) => sum + seconds, 0));
  const unproven = outcomes.filter(({ state }) => state === 'unproven');
  const late = outcomes.filter(({ state }) => state === 'no time').map(({ suite }) => suite.name);
  return [
    `\n${table(['suite', 'min:s', 'passed', 'failed', 'skipped', ''], [...rows, ['all', all, '', '', '', '']])}\n`,
    ...unproven.map(({ suite }) => `did not run: ${suite.name}, ${suite.unproven}`),
    ...(late.length > 0 ? [`did not run, for lack of time: ${late.join(', ')}`] : []),
    ...(inCi && total(outcomes, inCi).skipped > 0 ? ['tests were skipped, and in CI none may be'] : []),
  ].join('\n');
}

/** The last line, which a CI reads. */
export function closingLine(outcomes: readonly Outcome[], inCi: boolean): string {
  const { passed, failed, skipped } = total(outcomes, inCi);
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

export function isGood(outcomes: readonly Outcome[], inCi: boolean): boolean {
  const { failed, skipped } = total(outcomes, inCi);
  return failed === 0 && !(inCi && skipped > 0);
}

/** A suite that failed without a failed test counts as one, and one that is not possible here as a skipped one; in CI, as a failed one. */
function total(outcomes: readonly Outcome[], inCi: boolean): Counts {
  const sum = (kind: keyof Counts) => outcomes.reduce((so, each) => so + each[kind], 0);
  const many = (condition: (outcome: Outcome) => boolean) => outcomes.filter(condition).length;
  const broken = many(({ state, failed }) => state === 'hung' || (state === 'failed' && failed === 0));
  const impossible = many(({ state }) => state === 'impossible');
  return {
    passed: sum('passed'),
    failed: sum('failed') + broken + (inCi ? impossible : 0),
    skipped: sum('skipped') + (inCi ? 0 : impossible),
  };
}

function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
