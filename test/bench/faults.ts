// What does not stop a node, in figures.
import { run as benchStart } from './faults-start.ts';
import { run as benchStop } from './faults-stop.ts';
import { run as benchStuck } from './faults-stuck.ts';
import type { Bench } from './figure.ts';

export const run: Bench = async (progress) => [
  ...(await benchStuck(progress)),
  ...(await benchStop(progress)),
  ...(await benchStart(progress)),
];
