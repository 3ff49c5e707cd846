// A fake of the kernel's generic netlink: it knows families by name, and answers their commands as a test tells it to.
import { u16 } from '../../host/netlink/wire/codec.ts';
import { NetlinkError } from '../../host/netlink/wire/error.ts';
import type { Request, Session } from '../../host/netlink/wire/session.ts';

/** Messages, each the attributes of one answer, or an errno; chosen by what is attempted where it is a function. */
export type Answers = readonly Buffer[] | number;

export function fakeKernel(
  answers: Answers | ((attempt: string) => Answers),
  families: Readonly<Record<string, number>> = { devlink: 21, ethtool: 22 },
): Session {
  const answer = async ({ type, attempt, body }: Request) => {
    const message = (payload: Buffer) => ({
      type,
      flags: 0,
      seq: 1,
      pid: 0,
      body: Buffer.concat([Buffer.of(0, 1, 0, 0), payload]),
    });
    if (type === 16) {
      const name = Object.keys(families).find((one) => body.includes(`${one}\0`));
      if (name === undefined) throw new NetlinkError(attempt, 2);
      return [message(u16(1, families[name] ?? 0))];
    }
    const chosen = typeof answers === 'function' ? answers(attempt) : answers;
    if (typeof chosen === 'number') throw new NetlinkError(attempt, chosen);
    return chosen.map(message);
  };
  return { request: answer, dump: answer, batch: async () => {}, [Symbol.dispose]: () => {} };
}
