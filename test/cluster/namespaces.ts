// The node's namespaces: made by `unshare`, kept by node-init, entered by `nsenter`. Killing node-init ends everything in them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../../tools/program.ts';
import { addresses, nodeName } from './addresses.ts';

export interface Namespaces {
  /** Of node-init, as this machine sees it. */
  readonly pid: number;
  /** Ends every process in them. */
  kill(): Promise<void>;
}

/** Boots them over the folder. They end with this process, however it ends. */
export async function bootNamespaces(dir: string): Promise<Namespaces> {
  await rm(join(dir, 'run'), { recursive: true, force: true });
  await mkdir(join(dir, 'run'), { recursive: true });
  const init = ['bash', join(import.meta.dirname, 'node-init'), dir, nodeName, addresses.node, addresses.apiserver];
  const unshare = ['unshare', '--mount', '--net', '--pid', '--uts', '--fork', '--kill-child', '--mount-proc', ...init];
  const child = start('setpriv', ['--pdeathsig', 'KILL', ...unshare], { stdin: 'ignore', all: true, reject: false });
  const ended = child.then(({ all }) => all);
  for (const end = performance.now() + 10_000; !existsSync(join(dir, 'run/node.up')); ) {
    if (performance.now() > end) child.kill('SIGKILL');
    const words = await Promise.race([ended, sleep(20, undefined, { ref: false })]);
    if (words !== undefined) throw new Error(`the node's namespaces do not come up: ${words}`);
  }
  const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
  await writeFile(join(dir, 'run/node.pid'), String(pid));
  return {
    pid,
    kill: async () => {
      child.kill('SIGKILL');
      await child;
      while (existsSync(`/proc/${pid}`)) await sleep(10);
    },
  };
}

/** The command line that runs another one in the node, as the cluster's admin. */
export function enter(dir: string, pid: number, path: string): readonly string[] {
  const env = [`PATH=${path}`, `KUBECONFIG=${join(dir, 'pki/admin.conf')}`, 'CONTAINERD_ADDRESS=/run/containerd/containerd.sock'];
  return ['nsenter', '-t', String(pid), '-m', '-n', '-p', '-u', '--wd=/', 'env', ...env, 'CNI_PATH=/opt/cni/bin', 'LC_ALL=C'];
}

/** Mount points of the machine's cgroup hierarchies. */
export async function hierarchies(): Promise<readonly string[]> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  return [...mounts.matchAll(/^\S+ (\/sys\/fs\/cgroup\S*) cgroup2? /gm)].flatMap(([, path]) => path ?? []);
}

export async function makeCgroups(name: string): Promise<void> {
  for (const path of await hierarchies()) await mkdir(join(path, name), { recursive: true });
}

/** After the end of all that was in them; a dying process may still hold one for a moment. */
export async function removeCgroups(name: string): Promise<void> {
  for (const path of await hierarchies()) {
    const folder = join(path, name);
    for (let tries = 0; existsSync(folder); tries++) {
      try {
        await removeTree(folder);
      } catch (error) {
        if (tries > 100) throw new Error(`the cgroup ${folder} stays`, { cause: error });
        await sleep(50);
      }
    }
  }
}

async function removeTree(folder: string): Promise<void> {
  const below = readdirSync(folder, { withFileTypes: true }).filter((each) => each.isDirectory());
  for (const { name } of below) await removeTree(join(folder, name));
  await rmdir(folder);
}
