// Errors of the machine. Who catches them decides what they mean to a runtime or to kubelet (cni/protocol/errors.ts, device-plugin).

/** Something outside is down or not there yet, so the same call can succeed later. The CNI server answers with code 11, never with "misconfigured". */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** It did not end within its time. Asked again, it probably takes as long. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/** The `code` of what was thrown, such as `ENOENT`; undefined when it has none. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
