// The shipped programs end when they have done their work, and when they are told to. endings.long.ts tries ten thousand times.
import { deepEqual, match } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { findEndless, servers, shortPrograms } from '../support/endings.ts';

const dist = join(import.meta.dirname, '../../dist');
const programs = readdirSync(dist).filter((name) => /^smartnic.*\.mjs$/.test(name));

describe('what is shipped', () => {
  it('ends when it has done its work, every program for a person and every step', async () => {
    deepEqual(await findEndless(shortPrograms, 2 * shortPrograms.length), []);
  });

  it('ends when it is told to, every server', async () => {
    deepEqual(await findEndless(servers, 4 * servers.length), []);
  });

  /** A thread of V8's that waits for the main thread to collect garbage, while the main thread waits for it to end, is a hang. */
  for (const name of programs)
    it(`${name} gives V8 no work for other threads`, async () => {
      const [first = ''] = readFileSync(join(dist, name), 'utf8').split('\n');
      const [, flags = ''] = /^#!\/usr\/bin\/env -S .* node (.*)$/.exec(first) ?? [];
      const { stdout } = await run(process.execPath, [...flags.split(' '), '--input-type=module', '--eval', busy]);
      match(stdout, /^V8Worker [12]$/m);
    });
});

/** Compiles, makes garbage, and says how often each of its threads went to sleep: V8's once or twice at the start, and 30 to 100 times if it had work. */
const busy = `
import { readdirSync, readFileSync } from 'node:fs';
const functions = Array.from({ length: 400 }, (_, i) => new Function('a', 'let s = ' + i + '; for (let k = 0; k < 3; k++) s += a * k; return s;'));
globalThis.kept = [];
for (let round = 0; round < 300; round++) {
  for (const each of functions) each(round);
  for (let i = 0; i < 300; i++) kept.push({ round: [i, round] });
}
for (const thread of readdirSync('/proc/self/task')) {
  const status = readFileSync('/proc/self/task/' + thread + '/status', 'utf8');
  console.log(/Name:\\t(.*)/.exec(status)[1], /\\nvoluntary_ctxt_switches:\\t(.*)/.exec(status)[1]);
}`;
