// Starting and abruptly ending a gRPC server on a unix socket, as a kubelet that is killed does.
import { rmSync } from 'node:fs';
import { type Server, ServerCredentials } from '@grpc/grpc-js';

export async function listenOn(server: Server, socket: string): Promise<void> {
  // Kubelet removes what its predecessor left.
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}
