// The first files of the guest, written at every boot: a shell, the modules for shared folders, our two init scripts. The format is
// `newc` of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { folderOf, kernelVersion } from './cache.ts';

const needed = ['9pnet_virtio', '9p', 'overlay'];

/** The whole archive, about 4 MB. */
export async function makeInitrd(): Promise<Buffer> {
  const modules = await moduleFiles();
  const guest = (name: string) => readFile(join(import.meta.dirname, 'guest', name));
  const files: readonly Entry[] = [
    ...['bin', 'modules', 'proc', 'dev', 'root', 'kernel', 'top', 'new'].map((name) => ({ name, mode: 0o040755, data: empty })),
    { name: 'bin/busybox', mode: 0o100755, data: await readFile(join(folderOf('root'), 'usr/bin/busybox')) },
    { name: 'bin/sh', mode: 0o120777, data: Buffer.from('busybox') },
    { name: 'init', mode: 0o100755, data: await guest('initrd-init') },
    { name: 'guest-init', mode: 0o100755, data: await guest('init') },
    { name: 'modules/order', mode: 0o100644, data: Buffer.from(modules.map((path) => `${basename(path)}\n`).join('')) },
    ...(await Promise.all(
      modules.map(async (path) => ({ name: `modules/${basename(path)}`, mode: 0o100644, data: await readFile(path) })),
    )),
    { name: 'TRAILER!!!', mode: 0, data: empty },
  ];
  return Buffer.concat(files.flatMap(record));
}

interface Entry {
  readonly name: string;
  /** As in stat(2), with the kind of file. */
  readonly mode: number;
  readonly data: Buffer;
}

const empty = Buffer.alloc(0);

function record({ name, mode, data }: Entry, at: number): readonly Buffer[] {
  const fields = [at + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((value) => value.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return [padded(Buffer.from(header)), padded(data)];
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc(-data.length & 3)]);
}

/** Paths of the modules in the order in which they go in: `modules.dep` names each one's needs, nearest first. */
async function moduleFiles(): Promise<readonly string[]> {
  const folder = join(folderOf('kernel'), 'root/usr/lib/modules', kernelVersion());
  const lines = (await readFile(join(folder, 'modules.dep'), 'utf8')).split('\n');
  const order = needed.flatMap((module) => {
    const line = lines.find((each) => basename(each.split(':')[0] ?? '') === `${module}.ko`);
    if (line === undefined) throw new Error(`${folder} has no module ${module}`);
    const [file = '', needs = ''] = line.split(':');
    return [...needs.trim().split(' ').reverse(), file].filter((each) => each !== '');
  });
  return [...new Set(order)].map((file) => join(folder, file));
}
