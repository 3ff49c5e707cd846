// `npm run bench [-- --json FILE] [NAME…]`: runs the benchmarks one after the other and prints a table; says what was measured also
// where a goal is missed, and ends well all the same: a figure is told, not tested.
import { writeFile } from 'node:fs/promises';
import { messageOf } from '../../host/base/errors.ts';
import { parseFlags } from '../../host/base/flags.ts';
import { align } from '../../host/base/table.ts';
import { run as admission } from './admission.ts';
import { run as devicePlugin } from './device-plugin.ts';
import { run as direct } from './direct.ts';
import { run as faults } from './faults.ts';
import type { Bench, Figure } from './figure.ts';
import { run as normal } from './normal.ts';
import { run as shim } from './shim.ts';
import { run as spawn } from './spawn.ts';
import { run as virtioForwarder } from './virtio-forwarder.ts';
import '../../tools/path.ts';

const benches: Readonly<Record<string, Bench>> = {
  shim,
  spawn,
  normal,
  'virtio-forwarder': virtioForwarder,
  'device-plugin': devicePlugin,
  admission,
  direct,
  faults,
};

const head = ['FIGURE', 'MEASURED', 'GOAL', 'MET'];
const { values, positionals } = wanted();

const figures: Figure[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  console.log(`==> ${name}`);
  figures.push(...(await bench((text) => console.log(`    ${text}`))));
}
console.log('');
for (const line of align([head, ...figures.map(rowOf)])) console.log(line);
const missed = figures.filter(({ met }) => met === false).length;
console.log(`\n${figures.length} figures, ${figures.filter(({ met }) => met).length} goals met, ${missed} missed`);
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
process.exit(0);

/** The goal is beside what was measured. */
function rowOf({ name, value, unit, goal = '', met }: Figure): readonly string[] {
  return [name, `${value} ${unit}`, goal === '' ? '' : `${goal} ${unit}`, met === undefined ? '' : met ? 'yes' : 'NO'];
}

function wanted() {
  try {
    const typed = parseFlags({ options: { json: { type: 'string' } }, allowPositionals: true });
    const unknown = typed.positionals.find((name) => !Object.hasOwn(benches, name));
    if (unknown === undefined) return typed;
    throw new Error(`there is no benchmark "${unknown}"; there are: ${Object.keys(benches).join(', ')}`);
  } catch (error) {
    console.error(`bench: ${messageOf(error)}`);
    process.exit(2);
  }
}
