// A socket whose questions are asked by errands. For those that the kernel may keep for minutes, as devlink's while firmware is flashed: no
// thread of ours waits inside the kernel, and no list is continued by our main thread.
import { goErrand } from '../../program/errand.ts';
import type { NetlinkSocket, protocols } from './socket.ts';

/** Milliseconds for one question. The kernel needs less than one. */
const limit = 5000;

/** In our own network namespace. `send` throws Unavailable when the kernel does not answer, and at once while it still keeps that question. */
export function openErrandSocket(protocol: (typeof protocols)[keyof typeof protocols]): NetlinkSocket {
  let answers: Buffer | undefined;
  const receive = () => {
    const all = answers;
    answers = undefined;
    return all;
  };
  return {
    send: async (input, attempt) => {
      answers = await goErrand({ attempt, verb: 'netlink', object: String(protocol), input, question: attempt, limit });
    },
    receive,
    receiveMore: async () => receive(),
    readable: async () => answers !== undefined,
    [Symbol.dispose]: () => {},
  };
}
