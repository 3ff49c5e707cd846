// QEMU with its libraries and firmware, run from a folder by its own loader.
import { join } from 'node:path';
import { unpackPackages } from './apt.ts';

export async function buildQemu(into: string): Promise<string> {
  return await unpackPackages('qemu', ['qemu-system-x86', 'base-files', 'libc-bin'], into);
}

/** The program and its first arguments. */
export function qemuCommand(folder: string): readonly string[] {
  const lib = join(folder, 'usr/lib/x86_64-linux-gnu');
  const loader = [join(folder, 'usr/lib64/ld-linux-x86-64.so.2'), '--library-path', `${lib}:${lib}/pulseaudio`];
  const firmware = ['usr/share/qemu', 'usr/share/seabios', 'usr/lib/ipxe/qemu'].flatMap((each) => ['-L', join(folder, each)]);
  return [...loader, join(folder, 'usr/bin/qemu-system-x86_64'), ...firmware];
}
