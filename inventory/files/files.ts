// All files of the device plugin that others look for on the machine: device-info, CDI specs, vhost directories.
import { messageOf } from '../../host/base/errors.ts';
import { openOwnFiles } from '../../host/files/own-files.ts';
import type { Host } from '../../host/host.ts';
import { onHost } from '../../host/kernel/sysfs.ts';
import type { Pool } from '../config/pool.ts';
import type { Resource } from '../offer/resource.ts';
import { cdiFile, cdiSpec } from './cdi.ts';
import { deviceInfoDir, deviceInfoFiles } from './device-info.ts';
import { ensureDirectories, type VhostDirectories, wantedDirectories } from './vhost-directories.ts';

/** The path as the machine sees it. */
const cdiDir = '/var/run/cdi';

export interface Files {
  /** What the last call could not do, in words. */
  readonly problems: readonly string[];
  /** Makes the files agree with the resources. With `thoroughly` also when nothing changed, because somebody may have removed a file. */
  update(resources: readonly Resource[], pools: readonly Pool[], thoroughly: boolean): void;
}

export function keepFiles(host: Pick<Host, 'root'>): Files {
  const infoFiles = openOwnFiles(onHost(host, deviceInfoDir));
  const cdiFiles = openOwnFiles(onHost(host, cdiDir));
  let done: readonly Resource[] | undefined;
  let pools: readonly Pool[] = [];
  let directories: VhostDirectories = new Map();
  let problems: readonly string[] = [];

  return {
    get problems() {
      return problems;
    },
    update(resources, nextPools, thoroughly) {
      if (!thoroughly && done !== undefined && nextPools === pools && sameUnits(resources, done)) return;
      const wanted = wantedDirectories(resources, nextPools);
      const info = deviceInfoFiles(resources);
      const cdi = resources.filter((one) => one.cdi).map((one) => [cdiFile(one), cdiSpec(one)] as const);
      problems = [
        ...ensureDirectories(host, directories, wanted),
        ...attempt(() => infoFiles.sync(info, thoroughly)),
        ...attempt(() => cdiFiles.sync(new Map(cdi), thoroughly)),
      ];
      directories = wanted;
      pools = nextPools;
      done = problems.length === 0 ? resources : undefined; // after a failure, the next call tries everything again
    },
  };
}

/** Compares VFs by identity, because the inventory keeps the record of a VF that has not changed. Problems don't matter to files. */
function sameUnits(a: readonly Resource[], b: readonly Resource[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, units }, at) => {
      const other = b[at];
      return (
        name === other?.name &&
        units.length === other.units.length &&
        units.every((unit, n) => unit.id === other.units[n]?.id && unit.vf === other.units[n]?.vf)
      );
    })
  );
}

/** Turns a failure into words, so that the other attempts still run. */
function attempt(act: () => void): readonly string[] {
  try {
    act();
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
}
