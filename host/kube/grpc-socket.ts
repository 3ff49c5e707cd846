// A gRPC server on a unix socket in one of kubelet's directories.
import { chmodSync, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { checkSocketPath } from '../files/unix-socket.ts';
import { unixTarget } from './proto.ts';

/** The socket is root's alone. @throws Error naming it. */
export async function listen(server: Server, socket: string): Promise<void> {
  if (!existsSync(dirname(socket))) throw new Error(`kubelet's directory ${dirname(socket)} is not there: is it mounted here?`);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(unixTarget(checkSocketPath(socket)), ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(new Error(`cannot listen on ${socket}: ${error.message}`, { cause: error })),
    );
  });
  chmodSync(socket, 0o600);
}
