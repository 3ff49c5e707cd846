// Vfs that the CNI side put aside, as marker files named by PCI address: a failed reset, for instance. Read here; written and removed there.
import { join } from 'node:path';
import type { Host } from './host.ts';
import { listDirectory, onHost, readText } from './sysfs.ts';

/** As the machine sees it. A file's text is the reason, for people. */
export const quarantineDir = '/var/lib/smartnic/quarantine';

/** By PCI address: why. */
export function readQuarantine(host: Pick<Host, 'root'>): ReadonlyMap<string, string> {
  const folder = onHost(host, quarantineDir);
  const addresses = listDirectory(folder).filter((name) => /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name));
  return new Map(addresses.map((address) => [address, reasonIn(join(folder, address))]));
}

function reasonIn(path: string): string {
  return readText(path)?.split('\n')[0] || `it was put aside without a word (see ${path})`;
}
