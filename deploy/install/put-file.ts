// A file of ours in a folder of the node, by rename: whoever opens it meanwhile has the old one or the new one, whole, also after a power loss.
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';

export interface FileToPut {
  readonly from: string;
  /** Must be there. */
  readonly folder: string;
  readonly name: string;
  readonly mode: number;
}

/** What was done, in words. @throws Error that names the file. */
export function putFile({ from, folder, name, mode }: FileToPut): string {
  const path = join(folder, name);
  try {
    removeDrafts(folder, name);
    const bytes = readFileSync(from);
    if (isThere(path, bytes)) return `${path} is up to date`;
    const draft = join(folder, draftOf(name));
    writeWhole(draft, bytes, mode);
    renameSync(draft, path);
    syncFolder(folder);
    return `${path} is installed, ${bytes.length} bytes`;
  } catch (error) {
    throw new Error(`install ${path}: ${messageOf(error)}; is the node's folder mounted there, and writable?`, { cause: error });
  }
}

/** Begins with a dot: no runtime takes it for a plugin or a configuration. */
function draftOf(name: string): string {
  return `.${name}.new`;
}

/** Of an install that was cut short. */
function removeDrafts(folder: string, name: string): void {
  if (readdirSync(folder).includes(draftOf(name))) rmSync(join(folder, draftOf(name)), { force: true });
}

function isThere(path: string, bytes: Buffer): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false;
  }
}

function writeWhole(path: string, bytes: Buffer, mode: number): void {
  const fd = openSync(path, 'wx', mode);
  try {
    writeFileSync(fd, bytes);
    fchmodSync(fd, mode);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
