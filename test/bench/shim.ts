// What one start of the executable costs: CPU and wall time per call, against a server that answers at once.
import { rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run as runProgram, runSync } from '../../tools/program.ts';
import { answer, serve } from '../support/shim.ts';
import { atMost, type Bench, median, rounded, timed } from './figure.ts';

const executable = join(import.meta.dirname, '../../dist/smartnic');
const calls = 300;

export const run: Bench = async (progress) => {
  progress(`${calls} calls of dist/smartnic`);
  const socket = join(tmpdir(), `sn-bench-${process.pid}.sock`);
  await using server = await serve(socket, (connection) => connection.end(answer('{}')));
  void server;
  const env = { SMARTNIC_SOCKET: socket, CNI_COMMAND: 'STATUS', CNI_PATH: '/' };
  const walls: number[] = [];
  for (let call = 0; call < calls; call++)
    walls.push(await timed(() => runProgram(executable, [], { env, extendEnv: false, input: '{}' })));
  await rm(socket, { force: true });
  return [
    atMost(1, { name: 'shim: CPU per call', value: rounded(cpuPerCall()), unit: 'ms' }),
    { name: 'shim: wall per call, with the start from Node', value: rounded(median(walls)), unit: 'ms' },
    atMost(100, { name: 'shim: size', value: Math.ceil((await stat(executable)).size / 1024), unit: 'KB' }),
  ];
};

/** User and system time of children, as the shell's `times` tells it: start, answer and end of VERSION, without the fork of the shell. */
function cpuPerCall(): number {
  const script = `i=0; while [ $i -lt ${calls} ]; do CNI_COMMAND=VERSION "$0" </dev/null >/dev/null; i=$((i+1)); done; times`;
  const { stdout } = runSync('/bin/sh', ['-c', script, executable]);
  const line = stdout.trim().split('\n').at(-1) ?? '';
  const seconds = [...line.matchAll(/(\d+)m([\d.]+)s/g)].map(([, minutes, rest]) => Number(minutes) * 60 + Number(rest));
  return (seconds.reduce((sum, each) => sum + each, 0) / calls) * 1000;
}
