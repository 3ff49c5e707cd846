// What virtio-forwarder's statistics don't say, and what we have to remember between two calls: requests whose answer is lost, VFs that the daemon could
// not let go of, and since when nobody listens.
import { Unavailable } from '../../base/errors.ts';
import { findSocketIdentity } from '../../files/unix-socket.ts';
import type { PortControlRequest, PortControlResponse } from './messages.ts';
import { NotListening, Unanswered } from './zmq-request.ts';

export interface Memory {
  /** Notes whether somebody listens. */
  hearing<T>(answer: Promise<T>): Promise<T>;
  /** Notes a request that is not answered in time: the daemon may carry it out at any moment, also after later questions. */
  awaiting(request: PortControlRequest, answer: Promise<PortControlResponse>): Promise<PortControlResponse>;
  /** @throws Unavailable while it is not known what becomes of the device, and the daemon's refusal while it holds it. */
  requireSettled(device: string): void;
  attached(device: string): void;
  released(device: string): void;
  leaked(device: string, why: Error): void;
  hasReleased(device: string): boolean;
  /** Whether nobody has listened for so long that the daemon's relays have ended too. */
  hasEnded(): boolean;
}

/** @param socket - of the port control; its identity tells one daemon from the next. @param ending - ms that a daemon without sockets may still have VFs. */
export function openMemory(socket: string, ending: number): Memory {
  const unanswered = new Map<string, Unanswered>();
  const held = new Map<string, { readonly daemon: string | undefined; readonly why: Error }>();
  const free = new Set<string>();
  let deafSince: number | undefined;

  async function hearing<T>(answer: Promise<T>): Promise<T> {
    try {
      const value = await answer;
      deafSince = undefined;
      return value;
    } catch (error) {
      if (error instanceof NotListening) deafSince ??= performance.now();
      throw error;
    }
  }

  return {
    hearing,
    async awaiting(request, answer) {
      try {
        return await hearing(answer);
      } catch (error) {
        const { device } = request;
        if (device !== undefined && error instanceof Unanswered) {
          unanswered.set(device, error);
          void error.over.then(() => unanswered.delete(device));
        }
        throw error;
      }
    },
    requireSettled(device) {
      const open = unanswered.get(device);
      if (open !== undefined)
        throw new Unavailable(`${open.message} It has not answered yet, so it is not known whether it has ${device}`, {
          cause: open,
        });
      const leak = held.get(device);
      if (leak === undefined) return;
      // Another daemon has begun with nothing. While there is none, the old one may still be ending.
      const now = findSocketIdentity(socket);
      if (now !== undefined && now !== leak.daemon) held.delete(device);
      else throw leak.why;
    },
    attached(device) {
      held.delete(device);
      free.delete(device);
    },
    released: (device) => void free.add(device),
    leaked: (device, why) => void held.set(device, { daemon: findSocketIdentity(socket), why }),
    hasReleased: (device) => free.has(device),
    hasEnded: () => deafSince !== undefined && performance.now() - deafSince >= ending,
  };
}
