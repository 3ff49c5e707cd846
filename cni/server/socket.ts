// The unix socket on which the runtime's executable calls us. conversation.ts handles one connection.
import { Unavailable } from '../../host/base/errors.ts';
import type { Logger } from '../../host/base/log.ts';
import { whyUnanswered } from '../../host/files/unix-client.ts';
import { type Socket, serveSocket } from '../../host/files/unix-server.ts';
import { type Conversation, converse } from './conversation.ts';

export interface Server {
  /** Whether somebody waits for an answer, or writes his request. */
  isBusy(): boolean;
  /** Takes no new requests and lets the running ones finish. After `patience` milliseconds it aborts the signals of those that still run. */
  close(patience: number): Promise<void>;
}

export interface ServerOptions extends Pick<Conversation, 'answer'> {
  readonly path: string;
  readonly log: Logger;
}

/** The socket has mode 0600, in a directory of mode 0700. Throws when another server answers there. */
export async function serve({ path, log, answer }: ServerOptions): Promise<Server> {
  if (Buffer.byteLength(path) > 107) throw new Error(`socket: ${path} is longer than the 107 bytes of a unix socket's path`);
  if ((await whyUnanswered(path)) === undefined) throw new Error(`socket: another server answers on ${path}; stop it first`);
  const running = new Map<AbortController, Promise<void>>();
  const [incomplete, open] = [new Set<Socket>(), new Set<Socket>()];
  const talk = (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const gone = new AbortController();
    running.set(
      gone,
      converse(socket, { log, answer, gone, incomplete }).finally(() => running.delete(gone)),
    );
  };
  const server = await serveSocket(path, talk, { allowHalfOpen: true });
  log.info({ path }, 'serving CNI requests');
  return {
    isBusy: () => running.size > 0,
    close: async (patience) => {
      const closed = new Promise((resolve) => server.close(resolve));
      // These requests have not begun, so the executable sends them to our successor. A silent caller delays nobody.
      for (const socket of incomplete) socket.destroy();
      const timer = setTimeout(() => {
        for (const gone of running.keys()) gone.abort(new Unavailable('this server is being stopped'));
      }, patience);
      await Promise.all(running.values());
      clearTimeout(timer);
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
