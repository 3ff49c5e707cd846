// What an image contains, as a table, read from the archive itself.
import { statSync } from 'node:fs';
import { run } from '../program.ts';
import { archiveOf, imageName, type Target } from './names.ts';

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

export async function describe(target: Target): Promise<string> {
  const archive = archiveOf(target);
  const read = async (name: string) => JSON.parse(await extract(archive, name));
  const index: { readonly manifests: readonly { readonly digest: string }[] } = await read('index.json');
  const manifest: Manifest = await read(blob(index.manifests[0]?.digest ?? ''));
  const { architecture, config } = await read(blob(manifest.config.digest));
  const files = (await Promise.all(manifest.layers.map(({ digest }) => listLayer(archive, blob(digest))))).flat();
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const rows = files.filter(({ size }) => size > 0).map(({ path, size }) => `${kilobytes(size)}  ${path}`);
  return [
    `${imageName(target)}, linux/${architecture}, user ${config.User}`,
    ...rows,
    `${kilobytes(total)}  unpacked, ${files.length} files and folders`,
    `${kilobytes(statSync(archive).size)}  ${archive}`,
  ].join('\n');
}

async function extract(archive: string, name: string): Promise<string> {
  const { stdout } = await run('tar', ['--extract', '--to-stdout', '--file', archive, name]);
  return stdout;
}

async function listLayer(archive: string, name: string): Promise<readonly { readonly path: string; readonly size: number }[]> {
  const extract = ['--extract', '--to-stdout', '--file', archive, name];
  const { stdout: layer } = await run('tar', extract, { encoding: 'buffer', maxBuffer: 1 << 30 });
  const { stdout } = await run('tar', ['--list', '--verbose', '--gzip', '--file', '-'], { input: layer });
  return stdout.split('\n').flatMap((line) => {
    const [, size, path] = /^\S+\s+\S+\s+(\d+)\s+\S+\s+\S+\s+(.*)$/.exec(line) ?? [];
    return path === undefined ? [] : [{ path: `/${path}`, size: Number(size) }];
  });
}

function blob(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function kilobytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024)} KB`.padStart(12);
}
