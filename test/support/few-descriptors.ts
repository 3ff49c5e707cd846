// Starts a program that writes a file after 300 ms, each time with one more free descriptor than before, and prints what became of it. Start
// this with a low limit of open files.
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../host/base/errors.ts';
import { run } from '../../host/program/run.ts';

const [file = ''] = process.argv.slice(2);
await run('/bin/true', []);
const before = countOpen();
for (const left of [0, 1, 2, 3, 4, 5]) {
  const others = takeAllBut(left);
  const outcome = await run('/bin/sh', ['-c', `sleep 0.3; touch ${file}`]).then(({ exitCode }) => `exit ${exitCode}`, messageOf);
  for (const fd of others) closeSync(fd);
  await sleep(500);
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  console.log(JSON.stringify({ outcome, ran: existsSync(file), more: countOpen() - before, children }));
  rmSync(file, { force: true });
}

function countOpen(): number {
  return readdirSync('/proc/self/fd').length;
}

function takeAllBut(left: number): readonly number[] {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    for (const fd of taken.splice(taken.length - left)) closeSync(fd);
    return taken;
  }
}
