// VFs that were put aside, as marker files named by PCI address. The CNI side writes a marker when it can't put a VF back as it was. The
// device plugin reads the markers and does not offer those VFs. Other files in the directory are left alone.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { Machine } from '../base/machine.ts';
import { isPciAddress } from '../base/pci-address.ts';
import type { Report } from '../base/unread.ts';
import { listDirectory, onHost, readText } from '../kernel/sysfs.ts';

/** The path as the machine sees it. The text of a marker is the reason, for people. */
export const quarantineDir = '/var/lib/smartnic/quarantine';

/** The reasons by PCI address. A marker that can't be read counts all the same, and is reported. @throws Error when the directory can't be listed. */
export function readQuarantine(host: Machine, report: Report = () => {}): ReadonlyMap<string, string> {
  const names = listDirectory(onHost(host, quarantineDir));
  const addresses = names.filter(isPciAddress);
  return new Map(
    addresses.flatMap((address) => {
      const reason = findQuarantine(host, address, report);
      return reason === undefined ? [] : [[address, reason] as const];
    }),
  );
}

/** Why the VF was put aside; undefined: it was not. */
export function findQuarantine(host: Machine, address: string, report: Report = () => {}): string | undefined {
  const path = markerOf(host, address);
  try {
    const text = readText(path);
    return text === undefined ? undefined : text.split('\n')[0] || `it was put aside without a word (see ${path})`;
  } catch (error) {
    const words = messageOf(error);
    report({ address, words });
    return `it was put aside, and its marker can't be read: ${words}`;
  }
}

/** The write is durable enough, because after a power loss the VF is as new. */
export function quarantine(host: Machine, address: string, reason: string): void {
  mkdirSync(onHost(host, quarantineDir), { recursive: true, mode: 0o755 });
  writeFileSync(markerOf(host, address), `${ours}${reason.replaceAll('\n', ' ')}\n`);
}

/** Removes our own marker. A marker that a person made stays. */
export function endQuarantine(host: Machine, address: string): void {
  if (findQuarantine(host, address)?.startsWith(ours)) rmSync(markerOf(host, address), { force: true });
}

const ours = 'not reset: ';

function markerOf(host: Machine, address: string): string {
  return join(onHost(host, quarantineDir), address);
}
