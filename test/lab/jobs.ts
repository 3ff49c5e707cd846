// Scripts run by the agent in the guest (guest/init): a job is a folder in the shared folder, its end a line on the channel.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface JobOptions {
  /** Seconds until the script and what it started in its process group is killed (exit status 124). Default 60. */
  readonly timeout?: number;
  /** The script's stdin. */
  readonly input?: string;
}

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Jobs {
  /** The agent is up. */
  readonly ready: Promise<void>;
  run(script: string, options?: JobOptions): Promise<Ran>;
}

/** Seconds that the agent may need beyond a job's own limit. */
const slack = 30;

export function openJobs(channel: Socket, share: string): Jobs {
  const waiting = new Map<string, (exit: number) => void>();
  const ready = Promise.withResolvers<void>();
  let made = 0;
  createInterface({ input: channel }).on('line', (line) => {
    const [id = '', exit = ''] = line.trim().split(' ');
    if (id === 'ready') ready.resolve();
    else waiting.get(id)?.(Number(exit));
  });
  return {
    ready: ready.promise,
    run: async (script, { timeout = 60, input = '' } = {}) => {
      made += 1;
      const id = String(made);
      const dir = join(share, 'jobs', id);
      await mkdir(dir, { recursive: true });
      await writeFile(join(dir, 'script'), script);
      await writeFile(join(dir, 'stdin'), input);
      const exit = Promise.withResolvers<number>();
      waiting.set(id, exit.resolve);
      const late = () => exit.reject(new Error(`the guest's agent said nothing of a job for ${timeout + slack} s: ${script}`));
      const timer = setTimeout(late, (timeout + slack) * 1000);
      try {
        channel.write(`${id} ${timeout}\n`);
        const status = await exit.promise;
        const [stdout, stderr] = [await readFile(join(dir, 'stdout'), 'utf8'), await readFile(join(dir, 'stderr'), 'utf8')];
        return { exit: status, stdout, stderr };
      } finally {
        clearTimeout(timer);
        waiting.delete(id);
        await rm(dir, { recursive: true, force: true });
      }
    },
  };
}
