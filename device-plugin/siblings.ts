// Notices that another instance of ours on this node has gone (an upgrade runs two side by side for a while), by its sockets.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { socketName } from './term.ts';

/** Whether a socket of another instance has gone since the last call. `own` are the sockets of this one, past ones included. */
export function watchSiblings(directories: readonly string[], own: ReadonlySet<string>): () => boolean {
  let before: ReadonlySet<string> = new Set();
  return () => {
    const now = new Set(directories.flatMap(ourSockets).filter((socket) => !own.has(socket)));
    const left = !before.isSubsetOf(now);
    before = now;
    return left;
  };
}

function ourSockets(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => socketName.test(name))
      .map((name) => join(directory, name));
  } catch {
    // No directory, no sockets.
    return [];
  }
}
