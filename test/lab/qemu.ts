// One QEMU process with one guest: starts it, gives the channel to the agent in the guest, ends it. Knows nothing of jobs (jobs.ts).
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { start } from '../../tools/program.ts';
import { qemuCommand } from './build/qemu.ts';
import { folderOf } from './cache.ts';
import { type Hardware, hardwareArguments } from './hardware.ts';
import { makeInitrd } from './initrd.ts';

export interface Machine extends AsyncDisposable {
  readonly pid: number;
  /** To and from the agent: lines. */
  readonly channel: Socket;
  /** Resolves when QEMU has ended, with what it and the guest's console said last. */
  readonly ended: Promise<string>;
}

/** Starts it in a folder of its own and waits until QEMU runs; the guest is then about to boot. */
export async function startMachine({ dir, ...hardware }: Omit<Hardware, 'channel'>): Promise<Machine> {
  await using undo = new AsyncDisposableStack();
  const channel = join(dir, 'channel');
  await writeFile(join(dir, 'initrd'), await makeInitrd());
  const listener = createServer().listen(channel);
  undo.defer(() => void listener.close());
  await once(listener, 'listening');
  const connected = once(listener, 'connection');

  // QEMU alone is in the uplink's network namespace; its files and its channel are this machine's.
  const { uplink } = hardware;
  const enter = uplink === undefined ? [] : ['nsenter', `--net=/proc/${uplink.pid}/ns/net`];
  const command = [...enter, ...qemuCommand(folderOf('qemu')), ...hardwareArguments({ dir, channel, ...hardware })];
  // Dead when we are, however we die.
  const child = start('setpriv', ['--pdeathsig', 'KILL', ...command], {
    stdin: 'ignore',
    all: true,
    reject: false,
  });
  undo.defer(async () => {
    child.kill('SIGKILL');
    await child;
  });
  const ended = child.then(({ all, message }) => lastWords(dir, all || (message ?? 'it ended')));
  const first = await Promise.race([connected, ended]);
  if (typeof first === 'string') throw new Error(`QEMU did not start: ${first}`);
  const [socket] = first as [Socket];
  undo.defer(() => void socket.destroy());
  const kept = undo.move();
  return { pid: child.pid ?? -1, channel: socket, ended, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The guest's console, if it said anything, is what explains a guest that does not come up. */
export function lastWords(dir: string, said: string): string {
  const read = () => readFileSync(join(dir, 'console'), 'utf8');
  const console = attempt(read)?.trim().split('\n').slice(-15).join('\n') ?? '';
  return `${said.trim()}${console === '' ? '' : `\nlast on the guest's console:\n${console}`}`;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
