// Serving on a unix socket of ours, which nobody but root may reach.
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type ServerOpts, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { ensurePrivateDirectory } from './private-directory.ts';

export type { Server, Socket };

/**
 * The socket is 0600 in a directory 0700. One that is there goes: the caller knows that nobody serves it.
 * @throws what the kernel says, or that others need the directory.
 */
export async function serveSocket(path: string, talk: (socket: Socket) => void, options: ServerOpts = {}): Promise<Server> {
  ensurePrivateDirectory(dirname(path));
  rmSync(path, { force: true });
  const server = createServer(options, talk);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(path, backlog, resolve);
  await promise;
  chmodSync(path, 0o600);
  return server;
}

/** Connections that may wait to be accepted: a node that starts has hundreds of pods at once. */
const backlog = 1024;
