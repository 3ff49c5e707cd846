// The cluster by hand: `node test/cluster/main.ts build`, `... up [DIR]`, and from another terminal `... sh DIR COMMAND…`; `... remove`.
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { notPossibleHere } from '../../tools/exit.ts';
import { start } from '../../tools/program.ts';
import { cache, programsFolder } from './cache.ts';
import { startCluster } from './cluster.ts';
import { ClusterUnavailable, ensurePrograms } from './ensure.ts';
import { enter } from './namespaces.ts';
import { prepareNode } from './node.ts';
import '../../tools/path.ts';

const [command = '', ...rest] = process.argv.slice(2);

const commands: Readonly<Record<string, () => Promise<number>>> = {
  build: async () => {
    await ensurePrograms();
    return 0;
  },
  up,
  sh,
  remove: async () => {
    await rm(cache, { recursive: true, force: true });
    return 0;
  },
};

/** Runs until it is interrupted. */
async function up(): Promise<number> {
  const began = performance.now();
  const dir = rest[0] === undefined ? {} : { dir: resolve(rest[0]) };
  if (dir.dir !== undefined && existsSync(dir.dir)) throw new Error(`${dir.dir} is there already; a new folder is wanted`);
  const says = (text: string) => console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  await using cluster = await startCluster({ ...dir, says, prepare: prepareNode('multus') });
  await cluster.nodeReady();
  says('node Ready');
  console.log(`\n${process.argv[1]} sh ${cluster.dir} kubectl get pods -A    # from another terminal; Ctrl-C here ends it`);
  await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  return 0;
}

async function sh(): Promise<number> {
  const [dir = '', ...words] = rest;
  const pid = join(dir, 'run/node.pid');
  if (!existsSync(pid)) throw new Error(`there is no cluster in "${dir}"; start one with "up ${dir}"`);
  const path = `${programsFolder()}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const [file = '', ...args] = [
    ...enter(resolve(dir), Number(readFileSync(pid, 'utf8')), path),
    ...(words.length > 0 ? words : ['bash']),
  ];
  return (await start(file, args, { stdio: 'inherit', reject: false })).exitCode ?? 1;
}

const act = commands[command];
if (act === undefined) throw new Error(`say what to do: ${Object.keys(commands).join(', ')}`);
try {
  process.exitCode = await act();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof ClusterUnavailable ? notPossibleHere : 1;
}
