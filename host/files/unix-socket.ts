// Unix sockets as files: names that fit, what is left of dead servers, and telling one socket from its successor of the same name.
import { type BigIntStats, lstatSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { whyUnanswered } from './unix-client.ts';

/** Bytes of a path in sockaddr_un, the closing zero not counted (unix(7)). */
export const socketPathLimit = 107;

/** The path itself. Throws when no socket can have it. */
export function checkSocketPath(path: string): string {
  const length = Buffer.byteLength(path);
  if (length <= socketPathLimit) return path;
  throw new Error(
    `the socket path ${path} is ${length} bytes long, a unix socket's has at most ${socketPathLimit}: shorten the resource's name or the directory's`,
  );
}

/** What tells a socket file from another that later has the same name; undefined when there is none. */
export function findSocketIdentity(path: string): string | undefined {
  return identityOf(statSync(path, { bigint: true, throwIfNoEntry: false }));
}

/** The same for a socket that a container makes: a link in its place leads nowhere. */
export function findStrangersSocket(path: string): string | undefined {
  return identityOf(lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

function identityOf(stat: BigIntStats | undefined): string | undefined {
  // The inode number alone is given out again at once.
  return stat?.isSocket() ? `${stat.ino}:${stat.ctimeNs}` : undefined;
}

/** Removes the sockets of that name in a directory that nobody listens on any more, and returns their paths. */
export async function sweepSockets(directory: string, name: RegExp): Promise<readonly string[]> {
  const paths = names(directory)
    .filter((file) => name.test(file))
    .map((file) => join(directory, file));
  const dead: string[] = [];
  for (const path of paths) {
    // Only a refused connection says so: a server too busy to answer is alive.
    if ((await whyUnanswered(path))?.code !== 'ECONNREFUSED') continue;
    rmSync(path, { force: true });
    dead.push(path);
  }
  return dead;
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    // No directory, no left-overs.
    return [];
  }
}
