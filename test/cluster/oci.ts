// Makes a container image of one layer from a folder: an OCI image layout in a tar file, made by tar and sha256 alone.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../tools/program.ts';

export interface Image {
  /** The tar file to be written. */
  readonly file: string;
  /** `localhost/pause:1` */
  readonly name: string;
  readonly root: string;
  /** The `config` of an OCI image configuration: Entrypoint, Cmd, Env. */
  readonly config: object;
}

/** Source: opencontainers/image-spec (image-layout.md, manifest.md, config.md). */
export async function makeImage({ file, name, root, config }: Image): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'oci-'));
  await mkdir(join(dir, 'blobs/sha256'), { recursive: true });
  const blob = async (mediaType: string, content: Buffer | object) => {
    const data = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
    const hex = createHash('sha256').update(data).digest('hex');
    await writeFile(join(dir, 'blobs/sha256', hex), data);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${hex}`, size: data.length };
  };
  const platform = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
  const owner = ['--numeric-owner', '--owner=0', '--group=0', '--mtime=@0', '--sort=name'];
  await run('tar', [...owner, '-C', root, '-cf', join(dir, 'layer'), '.']);
  const layer = await blob('layer.v1.tar', await readFile(join(dir, 'layer')));
  const own = await blob('config.v1+json', { ...platform, config, rootfs: { type: 'layers', diff_ids: [layer.digest] } });
  const mediaType = (what: string) => `application/vnd.oci.image.${what}`;
  const manifest = await blob('manifest.v1+json', {
    schemaVersion: 2,
    mediaType: mediaType('manifest.v1+json'),
    config: own,
    layers: [layer],
  });
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name.split(':').at(-1) };
  const index = { schemaVersion: 2, mediaType: mediaType('index.v1+json'), manifests: [{ ...manifest, platform, annotations }] };
  await writeFile(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(dir, 'index.json'), JSON.stringify(index));
  await run('tar', ['-C', dir, '-cf', file, 'oci-layout', 'index.json', 'blobs']);
  await rm(dir, { recursive: true });
}
