// The CNI versions that we speak, and which commands each of them has.
import { type CniVersion, isSupported, supportedVersions, unsupported } from '../../network/versions.ts';
import { CniError, codes } from './errors.ts';

export { type CniVersion, isSupported, supportedVersions };
export const newestVersion: CniVersion = '1.1.0';

/** Whether `version` is `least` or newer. */
export function atLeast(version: CniVersion, least: CniVersion): boolean {
  return supportedVersions.indexOf(version) >= supportedVersions.indexOf(least);
}

/** Throws code 1 in the words of Go's skel, because users of runtimes search for these words. */
export function parseVersion(version: string): CniVersion {
  if (isSupported(version)) return version;
  throw new CniError(codes.incompatibleVersion, 'incompatible CNI versions', {
    details: unsupported(version),
  });
}

/** SPEC section 5: the answer has the version of the question, whatever it is. */
export function renderVersions(asked: string): string {
  return JSON.stringify({ cniVersion: asked, supportedVersions });
}
