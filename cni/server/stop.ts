// Ends the server in a limited time, whatever hangs: requests are finished, then cut short, then left to the next server.
import type { Logger } from '../../host/base/log.ts';
import { within } from '../../host/base/within.ts';
import type { Server } from './socket.ts';

/**
 * Milliseconds from the start of a stop until work that may be given up is given up, and until nothing is waited for. The runtime's executable
 * waits 20 s for the next server, and undoing an ADD takes up to 5 s.
 */
const [patience, longest] = [8000, 15_000];
/** Milliseconds for closing connections to others, who may not answer. */
const goodbye = 1000;

/** The longest stop, in milliseconds. deploy/base/daemonset.yaml allows more. */
export const longestStop = longest + goodbye;

/** @param rest - closes what is left when no request runs any more. */
export async function stopServing(
  server: Server,
  log: Logger,
  rest: () => readonly (PromiseLike<void> | undefined)[],
): Promise<void> {
  await within(longest, server.close(patience), () =>
    log.error('requests still run, and this server ends; the next one puts right what they leave'),
  );
  await within(goodbye, Promise.allSettled(rest()), () => []);
}
