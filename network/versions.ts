// The CNI versions that a network may be written for. cni/protocol/versions.ts says what each of them means.

export const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof supportedVersions)[number];

/** A configuration without a version is of the oldest one, which we don't speak (SPEC section 1). */
export const versionWithoutKey = '0.1.0';

export function isSupported(version: string): version is CniVersion {
  return (supportedVersions as readonly string[]).includes(version);
}

/** In the words of Go's skel, because users of runtimes search for them. */
export function unsupported(version: string): string {
  return `config is "${version}", plugin supports [${supportedVersions.join(' ')}]`;
}
