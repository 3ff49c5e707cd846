// A file of ours in a folder of the node, by rename: whoever opens it meanwhile has the old one or the new one, whole, also after a power loss.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { replaceDurably } from '../../host/files/durable.ts';

export interface FileToPut {
  readonly from: string;
  /** Must be there. */
  readonly folder: string;
  readonly name: string;
  readonly mode: number;
}

/** What was done, in words. @throws Error that names the file. */
export async function putFile({ from, folder, name, mode }: FileToPut): Promise<string> {
  const path = join(folder, name);
  try {
    const bytes = readFileSync(from);
    if (isThere(path, bytes)) return `${path} is up to date`;
    await replaceDurably(path, bytes, mode);
    return `${path} is installed, ${bytes.length} bytes`;
  } catch (error) {
    throw new Error(`install ${path}: ${messageOf(error)}; is the node's folder mounted there, and writable?`, { cause: error });
  }
}

function isThere(path: string, bytes: Buffer): boolean {
  try {
    return readFileSync(path).equals(bytes);
  } catch {
    return false;
  }
}
