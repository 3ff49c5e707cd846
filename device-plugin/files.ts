// Everything of the device plugin's that lies on the machine for others to find: device-info, CDI specs, vhost directories.
import { messageOf } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import { syncOwnFiles } from '../host/own-files.ts';
import { onHost } from '../host/sysfs.ts';
import { cdiSpec } from './cdi.ts';
import type { Pool } from './config.ts';
import { deviceInfoDir, deviceInfoFiles } from './device-info.ts';
import type { Resource } from './resource.ts';
import { ensureDirectories, type VhostDirectories, wantedDirectories } from './vhost-directories.ts';

/** As the machine sees it. */
export const cdiDir = '/var/run/cdi';

export interface Files {
  /** What could not be done at the last call, in words. */
  readonly problems: readonly string[];
  /** Makes them what the resources say. With `thoroughly` also where nothing changed: somebody may have removed one. */
  update(resources: readonly Resource[], pools: readonly Pool[], thoroughly: boolean): void;
}

export function keepFiles(host: Pick<Host, 'root'>): Files {
  let done = '';
  let directories: VhostDirectories = new Map();
  let problems: readonly string[] = [];

  return {
    get problems() {
      return problems;
    },
    update(resources, pools, thoroughly) {
      const wanted = wantedDirectories(resources, pools);
      const info = deviceInfoFiles(resources);
      const cdi = new Map(
        resources.filter((one) => one.cdi).map((one) => [`${one.name.replaceAll('/', '_')}.json`, cdiSpec(one)]),
      );
      const key = JSON.stringify([...wanted, ...info, ...cdi]);
      if (key === done && !thoroughly) return;
      problems = [
        ...attempt(() => ensureDirectories(host, directories, wanted)),
        ...attempt(() => syncOwnFiles(onHost(host, deviceInfoDir), info)),
        ...attempt(() => syncOwnFiles(onHost(host, cdiDir), cdi)),
      ];
      directories = wanted;
      done = problems.length === 0 ? key : ''; // what failed is tried again next time
    },
  };
}

/** Every one is tried, whatever became of the others. */
function attempt(act: () => void): readonly string[] {
  try {
    act();
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
}
