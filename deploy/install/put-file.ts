// Puts a file into a folder of the node by rename. Whoever opens it sees the old file or the new one as a whole, even after a power loss.
import { join } from 'node:path';
import { messageOf } from '../../host/base/errors.ts';
import { replaceDurably } from '../../host/files/durable.ts';
import { findContent } from '../../host/files/plain.ts';
import { findDirectory } from '../../host/kernel/sysfs.ts';

export interface FileToPut {
  readonly from: string;
  /** The folder must exist. */
  readonly folder: string;
  readonly name: string;
  readonly mode: number;
}

/** Returns what was done, in words. @throws Error that names the file. */
export async function putFile({ from, folder, name, mode }: FileToPut): Promise<string> {
  const path = join(folder, name);
  try {
    if (findDirectory(folder) === undefined) throw new Error('there is no such folder');
    const bytes = findContent(from);
    if (bytes === undefined) throw new Error(`${from} is missing`);
    if (findContent(path)?.equals(bytes)) return `${path} is up to date`;
    await replaceDurably(path, bytes, mode);
    return `${path} is installed, ${bytes.length} bytes`;
  } catch (error) {
    throw new Error(`install ${path}: ${messageOf(error)}; is the node's folder mounted there, and writable?`, { cause: error });
  }
}
