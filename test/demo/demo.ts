// `npm run demo [-- --host | --lab]`: all three vnic types, each with a figure of its traffic. What this machine can show by itself, then all of
// them on VFs, in the virtual SmartNIC machine of test/lab. Leaves nothing behind.
import { parseArgs } from 'node:util';
import { messageOf } from '../../host/base/errors.ts';
import { netnsLeft } from '../support/netns.ts';
import { table } from '../support/table.ts';
import { showLab } from './lab.ts';
import { showNormal } from './normal.ts';
import { type Shown, step } from './show.ts';
import { showRelay, showSlots } from './virtio-forwarder.ts';
import '../../tools/path.ts';

const only = wanted();
process.stdout.on('error', () => {}); // whoever reads it may stop reading; all is taken away nevertheless
process.once('SIGINT', () => process.exit(130));
const parts: readonly (() => Promise<Shown>)[] = [
  ...(only.lab ? [] : [showNormal, showSlots, showRelay]),
  ...(only.host ? [] : [showLab]),
];

const rows: (readonly string[])[] = [];
const left: string[] = [];
for (const show of parts) {
  const shown = await show();
  rows.push(...shown.rows);
  left.push(...shown.left);
}
left.push(...netnsLeft());
console.log(`\n${table(['type', 'shown by', 'between', 'traffic'], rows)}\n`);
step(`left behind: ${left.length === 0 ? 'nothing' : left.join(', ')}`);
process.exit(left.length === 0 ? 0 : 1);

function wanted(): { readonly host?: boolean; readonly lab?: boolean } {
  try {
    return parseArgs({ options: { host: { type: 'boolean' }, lab: { type: 'boolean' } } }).values;
  } catch (error) {
    console.error(
      `${messageOf(error)}\nnpm run demo [-- --host | --lab]: only what this machine shows by itself, or only the virtual machine`,
    );
    process.exit(2);
  }
}
