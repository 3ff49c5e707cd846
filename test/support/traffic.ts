// Measures what gets from one pod to another: echo requests, and bytes over TCP.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { run, start } from '../../tools/program.ts';
import type { TestNetns } from './netns.ts';

/** Whether an echo request is answered within a second (ping tries five times a second until one is). */
export async function pings({ name }: Pick<TestNetns, 'name'>, address: string, ...more: readonly string[]): Promise<boolean> {
  const ping = ['ping', '-n', '-c', '1', '-i', '0.2', '-w', '1', ...more, address];
  const { exitCode, stderr } = await run('ip', ['netns', 'exec', name, ...ping], { reject: false });
  if (exitCode === 0 || exitCode === 1) return exitCode === 0;
  throw new Error(`ping ${address}: ${stderr}`);
}

const receiver = `
  const hash = require('node:crypto').createHash('sha256');
  const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
    server.close();
    socket.on('data', (chunk) => hash.update(chunk)).on('end', () => socket.end(hash.digest('hex')));
  });
  server.listen(5001, '::', () => console.log('listening'));
`;

const sender = `
  const socket = require('node:net').connect({ port: 5001, host: process.argv[1], allowHalfOpen: true });
  socket.on('error', (error) => { console.error(error.message); process.exit(1); });
  socket.pipe(process.stdout);
  process.stdin.pipe(socket);
`;

/** Sends random bytes over TCP; back comes their hash. Throws when they did not arrive within ten seconds, or not as they were. */
export async function transfers(from: TestNetns, to: TestNetns, address: string, bytes = 1 << 20): Promise<void> {
  const data = randomBytes(bytes);
  const inside = ({ name }: TestNetns, ...args: readonly string[]) => ['netns', 'exec', name, process.execPath, '-e', ...args];
  const server = start('ip', inside(to, receiver), { timeout: 15_000, reject: false });
  await once(server.stdout, 'data');
  const { stdout } = await run('ip', inside(from, sender, address), { input: data, timeout: 10_000 });
  await server;
  const wanted = createHash('sha256').update(data).digest('hex');
  if (stdout !== wanted) throw new Error(`${bytes} bytes to ${address} arrived as something else (${stdout})`);
}
