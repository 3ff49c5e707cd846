// What it costs a process of the CNI server's size to start a program: host/program/spawn.ts against Node's own child_process, taking turns.
import { spawn as spawnByNode } from 'node:child_process';
import { once } from 'node:events';
import { spawn } from '../../host/program/spawn.ts';
import { type Bench, type Figure, median, rounded } from './figure.ts';

const [rounds, megabytes] = [60, 100];
const [file, env, stdin] = ['/bin/true', { PATH: '/usr/bin:/bin' }, '{}'];

/** Milliseconds: until our own code goes on, and until the program has ended. */
type Times = readonly [standstill: number, whole: number];

export const run: Bench = async (progress) => {
  const padding: Buffer[] = [];
  while (process.memoryUsage.rss() < megabytes * 1e6) padding.push(Buffer.alloc(1e6, 1));
  progress(`${rounds} starts of ${file}, by turns, from a process of ${Math.round(process.memoryUsage.rss() / 1e6)} MB`);
  const times: Record<keyof typeof ways, Times[]> = { posix_spawn: [], child_process: [] };
  for (let round = -3; round < rounds; round++)
    for (const name of Object.keys(ways) as (keyof typeof ways)[]) {
      const took = await ways[name]();
      if (round >= 0) times[name].push(took);
    }
  padding.length = 0;
  return Object.entries(times).flatMap(([name, took]): readonly Figure[] => [
    { name: `spawn: ${name}, standstill`, value: rounded(median(took.map(([standstill]) => standstill))), unit: 'ms' },
    { name: `spawn: ${name}, to the end`, value: rounded(median(took.map(([, whole]) => whole))), unit: 'ms' },
  ]);
};

const ways = {
  posix_spawn: async (): Promise<Times> => {
    const began = performance.now();
    using running = spawn({ file, args: [], env, stdin });
    const standstill = performance.now() - began;
    if (!(await running.ended(10_000))) throw new Error(`${file} does not end`);
    return [standstill, performance.now() - began];
  },
  child_process: async (): Promise<Times> => {
    const began = performance.now();
    const child = spawnByNode(file, [], { env });
    const standstill = performance.now() - began;
    child.stdin.on('error', () => {}); // it does not read
    child.stdin.end(stdin);
    for (const stream of [child.stdout, child.stderr]) stream.resume();
    await once(child, 'close');
    return [standstill, performance.now() - began];
  },
};
