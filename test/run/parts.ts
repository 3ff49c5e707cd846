// Which long suites are run: a part of them, in which order, and how many the time allows.
import { createHash } from 'node:crypto';
import type { Outcome } from './suite.ts';
import type { Suite } from './suites.ts';

export interface Part {
  /** From 1 on. */
  readonly number: number;
  readonly of: number;
}

/** `2/3` */
export function parsePart(text: string): Part {
  const [, number, of] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (number === undefined || of === undefined || number < 1 || number > of)
    throw new Error(`--part ${text}: N/M is wanted, the Nth of M parts, such as 1/3`);
  return { number, of };
}

/** Parts take about the same time: each suite, the longest first, goes to the part that has least so far. */
export function chosenPart({ number, of }: Part, suites: readonly Suite[]): readonly Suite[] {
  const parts = Array.from({ length: of }, () => ({ seconds: 0, suites: [] as Suite[] }));
  for (const suite of suites.toSorted((a, b) => b.seconds - a.seconds)) {
    const least = parts.reduce((one, other) => (other.seconds < one.seconds ? other : one));
    least.seconds += suite.seconds;
    least.suites.push(suite);
  }
  return parts[number - 1]?.suites ?? [];
}

/** All of them, beginning with one that depends on the text. */
export function startingFrom(text: string | undefined, suites: readonly Suite[]): readonly Suite[] {
  if (text === undefined || suites.length === 0) return suites;
  const first = createHash('sha256').update(text).digest().readUInt32BE() % suites.length;
  return [...suites.slice(first), ...suites.slice(0, first)];
}

/** Why a long suite is not begun; undefined: it is. */
export function whyNot(
  suite: Suite,
  { left, outcomes }: { readonly left: number; readonly outcomes: readonly Outcome[] },
): 'no time' | 'unproven' | undefined {
  if (suite.unproven !== undefined && left !== Number.POSITIVE_INFINITY) return 'unproven';
  return fits(suite, left, outcomes) ? undefined : 'no time';
}

/** Whether a suite would end in the seconds that are left, on a machine that is as slow as it has been so far. */
export function fits(suite: Suite, left: number, outcomes: readonly Outcome[]): boolean {
  const ran = outcomes.filter(({ state }) => state === 'good' || state === 'failed');
  const took = ran.reduce((sum, { seconds }) => sum + seconds, 0);
  const measured = ran.reduce((sum, each) => sum + each.suite.seconds, 0);
  const slowness = measured === 0 ? 1 : Math.max(1, took / measured);
  return suite.seconds * slowness <= left;
}
