// Where the last good configuration of the pools is kept.
import type { Machine } from '../../host/base/machine.ts';
import { type LastGood, openLastGood } from '../../host/files/last-good.ts';
import { onHost } from '../../host/kernel/sysfs.ts';

/** The path as the machine sees it. After a reboot the file is gone. */
export const lastGoodFile = '/run/smartnic/device-plugin/last-good-pools.json';

export function lastGoodPools(host: Machine): LastGood {
  return openLastGood(onHost(host, lastGoodFile));
}
