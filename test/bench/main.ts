// `npm run bench [-- --json FILE] [NAME…]`: runs the benchmarks one after the other and prints a table; says what was measured also
// where a goal is missed, and ends well all the same: a figure is told, not tested.
import { writeFile } from 'node:fs/promises';
import { messageOf } from '../../host/base/errors.ts';
import { parseFlags } from '../../host/base/flags.ts';
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
  direct,
  faults,
};

const { values, positionals } = wanted();

const figures: Figure[] = [];
for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  console.log(`==> ${name}`);
  figures.push(...(await bench((text) => console.log(`    ${text}`))));
}
const width = Math.max(...figures.map(({ name }) => name.length));
console.log(`\n${'figure'.padEnd(width)}  ${'value'.padStart(10)}  ${'unit'.padEnd(6)}  ${'goal'.padEnd(10)}  met`);
for (const { name, value, unit, goal = '', met } of figures) {
  const verdict = met === undefined ? '' : met ? 'yes' : 'NO';
  console.log(`${name.padEnd(width)}  ${String(value).padStart(10)}  ${unit.padEnd(6)}  ${goal.padEnd(10)}  ${verdict}`);
}
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
process.exit(0);

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
