// The CNI versions that we speak, and which commands each of them has.
import { CniError, codes } from './errors.ts';

export const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof supportedVersions)[number];
export const newestVersion: CniVersion = '1.1.0';

export function isSupported(version: string): version is CniVersion {
  return (supportedVersions as readonly string[]).includes(version);
}

/** Whether `version` is `least` or newer. */
export function atLeast(version: CniVersion, least: CniVersion): boolean {
  return supportedVersions.indexOf(version) >= supportedVersions.indexOf(least);
}

/** Throws code 1 in the words of Go's skel, because users of runtimes search for these words. */
export function parseVersion(version: string): CniVersion {
  if (isSupported(version)) return version;
  throw new CniError(codes.incompatibleVersion, 'incompatible CNI versions', {
    details: `config is "${version}", plugin supports [${supportedVersions.join(' ')}]`,
  });
}

/** SPEC section 5: the answer has the version of the question, whatever it is. */
export function renderVersions(asked: string): string {
  return JSON.stringify({ cniVersion: asked, supportedVersions });
}
