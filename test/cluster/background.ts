// A program that runs in the node until it is stopped, with its output in a log.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../../tools/program.ts';

export interface Background {
  readonly name: string;
  running(): boolean;
  /** Resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface BackgroundOptions {
  readonly dir: string;
  readonly name: string;
  /** Which enters the node. */
  readonly command: readonly string[];
  /** Runs `kill ARGS` in the node, whose process numbers are its own. */
  readonly kill: (args: readonly string[]) => Promise<unknown>;
}

export async function startBackground({ dir, name, command, kill }: BackgroundOptions): Promise<Background> {
  const pidFile = join(dir, 'run', `${name}.pid`);
  const log = { file: join(dir, 'log', `${name}.log`), append: true } as const;
  // `env` of the entering command comes first; the shell then notes its own number and becomes the program.
  const at = command.indexOf('LC_ALL=C') + 1;
  const noted = ['setsid', 'bash', '-c', 'echo $$ > "$0.new"; mv "$0.new" "$0"; exec "$@"', pidFile];
  const [file = '', ...args] = [...command.slice(0, at), ...noted, ...command.slice(at)];
  const child = start(file, args, { stdin: 'ignore', stdout: log, stderr: log, reject: false, buffer: false });
  let running = true;
  const gone = child.then(() => {
    running = false;
  });
  return {
    name,
    running: () => running,
    stop: async (signal = 'SIGTERM') => {
      if (!running) return;
      await kill(['-s', signal.replace('SIG', ''), readPid(pidFile)]).catch(() => {});
      const late = await Promise.race([gone, sleep(20_000, 'late' as const, { ref: false })]);
      if (late !== 'late') return;
      await kill(['-s', 'KILL', readPid(pidFile)]).catch(() => {});
      await gone;
    },
  };
}

function readPid(file: string): string {
  return readFileSync(file, 'utf8').trim();
}
