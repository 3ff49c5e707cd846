// What tells a file from how it was before. Not what is in it.
import { statSync } from 'node:fs';

/** Differs when the file, or what a link leads to, was written or replaced; undefined: there is none, or it can't be looked at. */
export function stampOf(path: string): string | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat && `${stat.ino} ${stat.ctimeNs} ${stat.size}`;
  } catch {
    return undefined; // whoever reads the file says why
  }
}
