// Which boot of the machine this is: what was there before it is gone.
import { readFileSync } from 'node:fs';

/** random(4) */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
