// What a cluster leaves when its process is killed: a folder and empty cgroups, for its namespaces end with it. Their names tell whose they
// are, so that the next cluster takes them away.
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readText } from '../../host/kernel/sysfs.ts';
import { hierarchies, removeCgroups } from './namespaces.ts';

export interface ClusterNames {
  /** An absolute path. */
  readonly folder: string;
  /** A name in each hierarchy. */
  readonly cgroup: string;
}

/** Of a new cluster of the process. A folder that shall be kept has another name. */
export function nameCluster(pid = process.pid): ClusterNames {
  const id = `${pid}-${startOf(pid)}-${randomBytes(3).toString('hex')}`;
  const kept = process.env['SMARTNIC_KEEP'] === undefined ? '' : 'kept-';
  return { folder: join(tmpdir(), `sn-cl-${kept}${id}`), cgroup: `smartnic-${id}` };
}

/** Removes what belongs to processes that are gone. @returns the names. */
export async function sweepLeftovers(): Promise<readonly string[]> {
  const folders = readdirSync(tmpdir()).filter(isLeftover('sn-cl-'));
  const cgroups = (await hierarchies()).flatMap((path) => readdirSync(path).filter(isLeftover('smartnic-')));
  // A process that can't be ended, for example one that waits for a device in the kernel, keeps its cgroup. The others are removed all the same.
  const say = (error: Error) => console.warn(`left of a killed cluster: ${error.message}`);
  for (const name of new Set(cgroups)) await removeCgroups(name).catch(say);
  for (const name of folders) await rm(join(tmpdir(), name), { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  return [...new Set([...cgroups, ...folders])];
}

function isLeftover(prefix: string): (name: string) => boolean {
  return (name) => {
    const [, pid, start] = new RegExp(`^${prefix}(\\d+)-(\\d+)-[0-9a-f]{6}$`).exec(name) ?? [];
    return pid !== undefined && startOf(Number(pid)) !== start;
  };
}

/** When the process began, in ticks since the boot. A pid may be used again, with another start time. Undefined: the process is gone. */
function startOf(pid: number): string | undefined {
  // `1234 (name of) it) S 1 …`: the 22nd word, the 20th after the name. Source: proc_pid_stat(5).
  return readText(`/proc/${pid}/stat`)?.split(') ').at(-1)?.split(' ')[19];
}
