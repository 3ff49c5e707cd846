// Vfs that were put aside, as marker files named by PCI address: the CNI side writes one when a vf can't be put back as it was, the device
// plugin reads them and does not offer the vf. Whatever else is in the directory is left alone.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../base/machine.ts';
import { listDirectory, onHost, readText } from '../kernel/sysfs.ts';

/** As the machine sees it. A file's text is the reason, for people. */
export const quarantineDir = '/var/lib/smartnic/quarantine';

/** By PCI address: why. */
export function readQuarantine(host: Machine): ReadonlyMap<string, string> {
  const folder = onHost(host, quarantineDir);
  const addresses = listDirectory(folder).filter((name) => /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name));
  return new Map(addresses.map((address) => [address, reasonIn(join(folder, address))]));
}

/** Durable enough: after a power loss the vf is as new. */
export function quarantine(host: Machine, address: string, reason: string): void {
  mkdirSync(onHost(host, quarantineDir), { recursive: true, mode: 0o755 });
  writeFileSync(markerOf(host, address), `${ours}${reason.replaceAll('\n', ' ')}\n`);
}

/** Takes away a marker of ours; one that a person wrote stays. */
export function endQuarantine(host: Machine, address: string): void {
  if (readText(markerOf(host, address))?.startsWith(ours)) rmSync(markerOf(host, address), { force: true });
}

const ours = 'not reset: ';

function markerOf(host: Machine, address: string): string {
  return join(onHost(host, quarantineDir), address);
}

function reasonIn(path: string): string {
  return readText(path)?.split('\n')[0] || `it was put aside without a word (see ${path})`;
}
