// A virtual SmartNIC machine for tests: `await using lab = await bootLab()`. What it is made of: README.md, hardware.ts.
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../host/base/errors.ts';
import { top } from './cache.ts';
import { ensureLab } from './ensure.ts';
import type { Share, Uplink } from './hardware.ts';
import { type JobOptions, openJobs, type Ran } from './jobs.ts';
import { lastWords, startMachine } from './qemu.ts';
import { standsStill } from './stall.ts';

export interface Lab extends AsyncDisposable {
  /** Runs a bash script as root in the guest. Several at once are fine. */
  run(script: string, options?: JobOptions): Promise<Ran>;
  /** The stdout of a script, without the last newline; a non-zero exit is thrown with its words. */
  sh(script: string, options?: JobOptions): Promise<string>;
  /** A folder of this machine that is /share in the guest, writable on both sides. */
  readonly share: string;
  readonly pid: number;
  /** Milliseconds from the start of QEMU to the agent's first word. */
  readonly bootMs: number;
}

export interface LabOptions {
  readonly shares?: readonly Share[];
  /** Default true. */
  readonly iommu?: boolean;
  readonly uplink?: Uplink;
}

/** Seconds that a guest may take to come up: 8-16 on an idle machine, 40 on a very busy one. */
const bootLimit = 120;

/**
 * Boots a fresh guest, after building the lab where it is not there yet. In it: /share, /opt/node (Node 24, on the PATH) and, once
 * dist/ is built, /smartnic/dist with what ships. Disposing it kills QEMU, as does the end of this process.
 * @throws LabUnavailable where its packages can't be had.
 */
export async function bootLab(options: LabOptions = {}): Promise<Lab> {
  await ensureLab();
  try {
    return await bootOnce(options);
  } catch (error) {
    // An emulated machine that lost an early interrupt stands still for good; the next one hardly does the same.
    console.log(`==> lab: booting again, because the first time: ${messageOf(error)}`);
    return await bootOnce(options);
  }
}

async function bootOnce({ shares = [], iommu = true, uplink }: LabOptions): Promise<Lab> {
  await using undo = new AsyncDisposableStack();
  // Not in the cache: the path of a unix socket has at most 107 bytes.
  const dir = await mkdtemp(join(tmpdir(), 'sn-lab-'));
  undo.defer(() => rm(dir, { recursive: true, force: true }));
  const share = join(dir, 'share');
  await mkdir(share);
  const all = [{ path: share, at: '/share', writable: true } as const, ...(await ours(dir)), ...shares];
  const began = performance.now();
  const machine = undo.use(await startMachine({ dir, shares: all, iommu, uplink }));
  const jobs = openJobs(machine.channel, share);
  const ended = machine.ended.then((words) => {
    throw new Error(`the guest is gone: ${words}`);
  });
  ended.catch(() => {}); // whoever waits for something hears of it
  const booted = new AbortController();
  const still = standsStill(machine.pid, booted.signal).then(
    () => 'it stands still' as const,
    () => new Promise<never>(() => {}), // it came up, or is gone: others say so
  );
  const late = sleep(bootLimit * 1000, `it is not there after ${bootLimit} s` as const, { ref: false });
  const problem = await Promise.race([jobs.ready, ended, late, still]).finally(() => booted.abort());
  if (problem !== undefined) throw new Error(lastWords(dir, `the guest did not come up: ${problem}`));
  const bootMs = performance.now() - began;

  const run: Lab['run'] = async (script, jobOptions) => await Promise.race([jobs.run(script, jobOptions), ended]);
  const kept = undo.move();
  return {
    run,
    sh: async (script, jobOptions) => {
      const { exit, stdout, stderr } = await run(script, jobOptions);
      if (exit !== 0) throw new Error(`in the guest: ${script.trim()}\nended with status ${exit}: ${stderr || stdout}`);
      return stdout.replace(/\n$/, '');
    },
    share,
    pid: machine.pid,
    bootMs,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Node, and our program as it ships: a copy, because a build of dist/ replaces the folder. */
async function ours(dir: string): Promise<readonly Share[]> {
  const node = { path: dirname(dirname(process.execPath)), at: '/opt/node' };
  if (!existsSync(join(top, 'dist'))) return [node];
  for (const name of ['dist', 'proto']) await cp(join(top, name), join(dir, 'smartnic', name), { recursive: true });
  return [node, { path: join(dir, 'smartnic'), at: '/smartnic' }];
}
