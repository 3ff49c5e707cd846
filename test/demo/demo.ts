// `npm run demo`: vnic types on this machine, each with a figure of its traffic. Leaves nothing behind.
import { netnsLeft } from '../support/netns.ts';
import { table } from '../support/table.ts';
import { showNormal } from './normal.ts';
import { type Shown, step } from './show.ts';
import { showRelay, showSlots } from './virtio-forwarder.ts';

const parts: readonly (() => Promise<Shown>)[] = [showNormal, showSlots, showRelay];

const rows: (readonly string[])[] = [];
const left: string[] = [];
for (const show of parts) {
  const shown = await show();
  rows.push(...shown.rows);
  left.push(...shown.left);
}
left.push(...(await netnsLeft()));
console.log(`\n${table(['type', 'shown by', 'between', 'traffic'], rows)}\n`);
step(`left behind: ${left.length === 0 ? 'nothing' : left.join(', ')}`);
process.exit(left.length === 0 ? 0 : 1);
