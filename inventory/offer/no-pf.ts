// What an imported configuration says on a machine without PFs, e.g. in a virtual machine that was given VFs. Pure.
import { basename } from 'node:path';
import type { Nics } from '../../host/nic/nics.ts';
import type { Config } from '../config/pool.ts';

/** The SR-IOV network device plugin offers such functions too, so its users would wait for resources that never come. Undefined: nothing to say. */
export function noPf({ file, overlap, pools }: Config, { pfs }: Pick<Nics, 'pfs'>): string | undefined {
  if (overlap !== 'first' || pools.length === 0 || pfs.length > 0) return undefined;
  return (
    `nothing of ${basename(file)} is offered here: this machine has no PF, and only VFs whose PF is on the same machine are offered; ` +
    'a virtual machine has the VFs that it was given without their PF'
  );
}
