// Errors of the machine. What they mean to a runtime or to kubelet is decided where they are caught (cni/protocol/errors.ts, device-plugin).

/** Something outside is down or not there yet: the same call can succeed later. CNI code 11, never "misconfigured". */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** The `code` of what was thrown, such as `ENOENT`; undefined when it has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
