// Notices that another instance of ours on this node has gone (an upgrade runs two side by side for a while), by its sockets.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { socketName } from './term.ts';

/** Whether a socket of another instance has gone since the last call. `own` are the sockets of this one; those that are gone leave it. */
export function watchSiblings(directories: readonly string[], own: Set<string>): () => boolean {
  let before: ReadonlySet<string> = new Set();
  return () => {
    const present = new Set(directories.flatMap(ourSockets));
    const now = present.difference(own);
    for (const socket of own.difference(present)) own.delete(socket);
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
