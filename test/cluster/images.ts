// The images that every cluster has: the sandbox of a pod, and busybox for the pods of tests.
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';
import { cache } from './cache.ts';
import { makeImage } from './oci.ts';

export const images = { pause: 'localhost/pause:1', busybox: 'localhost/busybox:1' } as const;

/** Made once, in the cache. @returns the tar files. */
export async function ensureImages(): Promise<readonly string[]> {
  const folder = join(cache, 'images');
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true });
    const partial = await mkdtemp(join(cache, 'images-'));
    await makePause(partial);
    await makeBusybox(partial);
    for (const name of ['pause', 'busybox', 'deb']) await rm(join(partial, name), { recursive: true });
    // Another run may have been faster; its images are as good.
    await rename(partial, folder).catch(() => rm(partial, { recursive: true }));
  }
  return Object.keys(images).map((name) => join(folder, `${name}.tar`));
}

async function makePause(folder: string): Promise<void> {
  const root = join(folder, 'pause');
  await mkdir(root);
  await run('gcc', ['-Os', '-static', '-o', join(root, 'pause'), join(import.meta.dirname, 'pause.c')]);
  await makeImage({ file: `${root}.tar`, name: images.pause, root, config: { Entrypoint: ['/pause'] } });
}

async function makeBusybox(folder: string): Promise<void> {
  const root = join(folder, 'busybox');
  for (const name of ['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp', 'var'])
    await mkdir(join(root, name), { recursive: true });
  const busybox = join(root, 'bin/busybox');
  await copyFile(await findBusybox(folder), busybox);
  const { stdout } = await run(busybox, ['--list']);
  const names = stdout.split('\n').filter((name) => name !== '' && name !== 'busybox');
  for (const name of names) await symlink('busybox', join(root, 'bin', name));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await makeImage({ file: `${root}.tar`, name: images.busybox, root, config: { Cmd: ['sh'], Env: ['PATH=/bin'] } });
}

/** Debian's static busybox, unpacked here: installing it would replace the machine's own one. */
async function findBusybox(folder: string): Promise<string> {
  const into = join(folder, 'deb');
  await mkdir(into);
  await run('apt-get', ['-q', 'download', 'busybox-static'], { cwd: into, seconds: 300, tries: 2 });
  const [deb = ''] = await readdir(into);
  await run('dpkg-deb', ['--extract', join(into, deb), into]);
  const found = ['bin/busybox', 'usr/bin/busybox'].map((path) => join(into, path)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`Debian's busybox-static, ${deb}, has no busybox`);
  return found;
}
