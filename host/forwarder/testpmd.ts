// The forwarder `testpmd`: asks the supervisor of dpdk-testpmd relays (supervisor/) over its socket.
import { messageOf, Unavailable } from '../base/errors.ts';
import { askOnce } from '../files/unix-client.ts';
import type { Forwarder } from './forwarder.ts';
import { type Answer, parseAnswer, type Request } from './relay-protocol.ts';
import { supervisorSocket, type TestpmdSettings } from './settings.ts';

/** Milliseconds: the supervisor itself gives a relay 30 s to start. */
const patience = 40_000;

export function openTestpmd(settings: Pick<TestpmdSettings, 'directory'>): Forwarder {
  const path = supervisorSocket(settings);
  const ask = async (request: Request) => {
    const answer = await exchange(path, request);
    if (answer.ok) return answer.attached;
    throw new Error(`the forwarder did not ${request.op === 'attached' ? 'say what is attached' : request.op}: ${answer.error}`);
  };
  return {
    attach: async (pair) => void (await ask({ op: 'attach', pair })),
    detach: async ({ device, socket }) => void (await ask({ op: 'detach', pair: { device, socket } })),
    attached: () => ask({ op: 'attached' }),
    health: async () =>
      await ask({ op: 'attached' }).then((pairs) => {
        const down = pairs.filter(({ status }) => status.startsWith('down'));
        return down.length === 0 ? undefined : down.map(({ device, status }) => `relay of ${device}: ${status}`).join('; ');
      }, messageOf),
    async [Symbol.asyncDispose]() {},
  };
}

async function exchange(path: string, request: Request): Promise<Answer> {
  try {
    return parseAnswer((await askOnce(path, `${JSON.stringify(request)}\n`, patience)).toString());
  } catch (error) {
    throw new Unavailable(
      `the forwarder's supervisor did not answer on ${path}: ${messageOf(error)}; is smartnic-forwarder running, with this directory?`,
      { cause: error },
    );
  }
}
