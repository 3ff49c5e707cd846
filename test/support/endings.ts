// Starts the shipped programs again and again, several at once so that the CPUs are busy, and counts those that do not end.
import { equal } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { start } from '../../tools/program.ts';
import { igb } from './nic-trees.ts';
import { makeTree } from './sysfs-tree.ts';

const dist = join(import.meta.dirname, '../../dist');

export interface Program {
  /** A name of a file in dist/, then its arguments. DIR stands for a folder of its own, ROOT for a machine made of files. */
  readonly command: readonly [string, ...string[]];
  /** A server: it is told to end (SIGTERM) when its log says this. */
  readonly stopAt?: string;
}

const look = ['--root', 'ROOT', '--config', 'ROOT/pools.yaml', '--kubelet-dir', '/k'];

export const shortPrograms: readonly Program[] = [
  { command: ['smartnic-install.mjs', 'install', '--bin-dir', 'DIR'] },
  { command: ['smartnic-install.mjs', 'left', '--root', 'DIR'] },
  { command: ['smartnic-install.mjs', '--help'] },
  { command: ['smartnic-cni.mjs', '--help'] },
  { command: ['smartnic-device-plugin.mjs', '--help'] },
  { command: ['smartnic.mjs', '--help'] },
  { command: ['smartnic.mjs', 'vfs', ...look] },
  { command: ['smartnic.mjs', 'explain', '0000:02:10.0', ...look] },
  { command: ['smartnic.mjs', 'attachments'] },
  { command: ['smartnic.mjs', 'doctor', '--cni-bin', 'DIR'] },
  { command: ['smartnic.mjs', 'repair', '--dry-run'] },
];

export const servers: readonly Program[] = [
  { command: ['smartnic-install.mjs', 'uninstall', '--root', 'DIR'], stopAt: 'waiting for the CNI server' },
  { command: ['smartnic-device-plugin.mjs', ...look, '--address', '127.0.0.1:0'], stopAt: 'the device plugin runs' },
  { command: ['smartnic-cni.mjs'], stopAt: 'serving CNI requests' },
];

/** Milliseconds after which a program is taken for one that never ends. */
const limit = 60_000;
/** A run of many starts prints a line after each so many. */
const linesAfter = 500;

/** What did not end, each with its command line and what its threads were doing when it was killed. The programs take turns. */
export async function findEndless(programs: readonly Program[], runs: number): Promise<readonly string[]> {
  using tree = makeTree(igb({ vfs: 4 }));
  writeFileSync(join(tree.root, 'pools.yaml'), 'pools: [{ name: a, vnicType: [direct], selectors: [{ vendors: ["8086"] }] }]');
  const endless: string[] = [];
  let [started, ended] = [0, 0];
  const goOn = async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sn-ends-'));
    writeFileSync(join(dir, 'config.yaml'), `{ ovsdb: "unix:${dir}/none", metrics: off, kubernetes: { disabled: true } }`);
    for (
      let program = programs[started++ % programs.length];
      program && started <= runs;
      program = programs[started++ % programs.length]
    ) {
      const place = { DIR: join(dir, 'node'), ROOT: tree.root };
      mkdirSync(place.DIR, { recursive: true });
      const hung = await runToItsEnd(program, place, dir);
      if (hung !== undefined) endless.push(hung);
      ended++;
      if (ended % linesAfter === 0) console.log(`      ${ended} of ${runs} starts, ${endless.length} without an end`);
    }
    rmSync(dir, { recursive: true });
  };
  await Promise.all(Array.from({ length: 3 * availableParallelism() }, goOn));
  return endless;
}

/** What is to be said of one that did not end; undefined: it ended. */
async function runToItsEnd(
  { command, stopAt }: Program,
  place: Readonly<Record<string, string>>,
  dir: string,
): Promise<string | undefined> {
  const [program = '', ...args] = command.map((word) => word.replace(/^(DIR|ROOT)/, (name) => place[name] ?? name));
  const env = {
    PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
    SMARTNIC_CONFIG: join(dir, 'config.yaml'),
    SMARTNIC_SOCKET: join(dir, 'run/cni.sock'),
    SMARTNIC_STATE_DIR: join(dir, 'state'),
  };
  const child = start(join(dist, program), args, { env, extendEnv: false, reject: false, stdin: 'ignore' });
  let said = '';
  child.stderr.on('data', (chunk) => {
    const before = said;
    said += chunk;
    if (stopAt !== undefined && said.includes(stopAt) && !before.includes(stopAt)) child.kill('SIGTERM');
  });
  let hung: string | undefined;
  const timer = setTimeout(() => {
    hung = `${command.join(' ')}: ${child.pid === undefined ? 'has no pid' : threadsOf(child.pid)}; it said: ${said}`;
    child.kill('SIGKILL');
  }, limit);
  const { exitCode, signal } = await child;
  clearTimeout(timer);
  if (stopAt !== undefined && hung === undefined) equal(exitCode ?? signal, 0, `${command.join(' ')}: ${said}`);
  return hung;
}

/** Each thread's name, state and the kernel's function that it sleeps in, such as `V8Worker S futex_wait_queue`. Source: proc(5). */
function threadsOf(pid: number): string {
  const tasks = `/proc/${pid}/task`;
  try {
    const threads = readdirSync(tasks).map((tid) => {
      const read = (name: string) => readFileSync(join(tasks, tid, name), 'utf8').trim();
      const [, state = '?'] = /^State:\s+(\S)/m.exec(read('status')) ?? [];
      return `${read('comm')} ${state} ${read('wchan')}`;
    });
    return threads.join(', ');
  } catch (error) {
    return `ended while it was looked at (${messageOf(error)})`;
  }
}
