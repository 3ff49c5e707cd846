// The end of the server within a time, whatever hangs: what runs is finished, then cut short, then left to the next server.
import type { Logger } from '../../host/base/log.ts';
import { within } from '../../host/base/within.ts';
import type { Server } from './socket.ts';

/**
 * Milliseconds of a stop: until work that may be given up is, and until nothing is waited for any more. The runtime's executable waits 20 s
 * for the next server, and undoing an ADD takes up to 5 s.
 */
const [patience, longest] = [8000, 15_000];
/** For saying goodbye to others, who may be silent. */
const goodbye = 1000;

/** Milliseconds; deploy/base/daemonset.yaml gives more. */
export const longestStop = longest + goodbye;

/** @param rest - what is closed when no request runs any more. */
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
