// Runs one suite, and reads what mocha counted in it.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { notPossibleHere } from '../../tools/exit.ts';
import { HungError, run } from '../../tools/program.ts';
import type { Suite } from './suites.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Outcome extends Counts {
  readonly suite: Suite;
  readonly seconds: number;
  /** `impossible`: this machine lacks what it needs, and can't get it. */
  readonly state: 'good' | 'failed' | 'hung' | 'impossible' | 'no time' | 'unproven';
}

const top = join(import.meta.dirname, '../..');
/** A busy machine takes several times what a quiet one does. */
const patience = 5;

/** @param counts - the folder for the counts of this suite. @param most - the seconds that are left. */
export async function runSuite(
  suite: Suite,
  { counts, most }: { readonly counts: string; readonly most: number },
): Promise<Outcome> {
  console.log(`\n==> ${suite.name}`);
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const end = Math.min(most, suite.seconds * patience);
  let state: Outcome['state'] = 'good';
  for (const script of suite.scripts) {
    if (state === 'good')
      state = await runScript(script, { seconds: end - seconds(), env: { ...suite.env, SMARTNIC_COUNTS: counts } });
  }
  return { suite, seconds: seconds(), state, ...takeCounts(counts) };
}

interface Options {
  readonly seconds: number;
  readonly env: Readonly<Record<string, string>>;
}

async function runScript(script: readonly string[], options: Options): Promise<Outcome['state']> {
  try {
    const { exitCode } = await run('npm', ['run', '--silent', ...script], {
      ...options,
      cwd: top,
      stdio: ['ignore', 'inherit', 'inherit'],
      reject: false,
    });
    return exitCode === 0 ? 'good' : exitCode === notPossibleHere ? 'impossible' : 'failed';
  } catch (error) {
    if (!(error instanceof HungError)) throw error;
    console.error(error.message);
    return 'hung';
  }
}

/** Each run of mocha has written one file. */
function takeCounts(folder: string): Counts {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const name of readdirSync(folder)) {
    const counts: Counts = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    passed += counts.passed;
    failed += counts.failed;
    skipped += counts.skipped;
    rmSync(join(folder, name));
  }
  return { passed, failed, skipped };
}
