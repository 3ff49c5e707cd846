// The kernel's own announcements of devices added, removed, bound and moved. Not udev's: those come later, on another group.
// The socket hangs in libuv's event loop (koffi's poll), so waiting costs no thread, and a worker or a helper process is not needed.
// Source: lib/kobject_uevent.c: `ACTION@DEVPATH`, then `KEY=value` entries, each closed by a NUL.
import { messageOf } from '../base/errors.ts';
import { SystemError } from '../kernel/libc.ts';
import { type NetlinkSocket, openSocket, protocols } from './wire/socket.ts';

export interface Uevent {
  /** `add`, `remove`, `change`, `move`, `online`, `offline`, `bind`, `unbind`. */
  readonly action: string;
  /** Below /sys, e.g. `/devices/pci0000:40/0000:40:00.0/0000:41:10.0`. */
  readonly path: string;
  /** e.g. `pci`, `net`, `vfio`, `iommu`. */
  readonly subsystem: string | undefined;
  readonly values: ReadonlyMap<string, string>;
}

/** How long one wait lasts, in milliseconds, and so how long the end can take: a descriptor is not closed while it is polled. */
const patience = 1000;
const ueventGroup = 1;

/**
 * Events from now on, until the signal ends them. `lost` stands for an unknown number of events that the kernel had to drop, after
 * which only looking at the machine helps. Opening needs no privilege; network devices are announced of our own namespace only.
 * @throws SystemError when the machine gives no such socket.
 */
export async function* readUevents(signal: AbortSignal): AsyncGenerator<Uevent | 'lost', void> {
  using socket = openSocket({ protocol: protocols.uevent, groups: ueventGroup });
  while (!signal.aborted) {
    yield* drain(socket);
    await socket.readable(patience);
  }
}

function* drain(socket: NetlinkSocket): Generator<Uevent | 'lost', void> {
  for (;;) {
    try {
      const datagram = socket.receive();
      if (datagram === undefined) return;
      const event = parseUevent(datagram);
      if (event !== undefined) yield event;
    } catch (error) {
      if (!(error instanceof SystemError) || error.code !== 'ENOBUFS') {
        throw new Error(`reading the kernel's device events: ${messageOf(error)}`, { cause: error });
      }
      yield 'lost';
    }
  }
}

/** Undefined for what is no kernel event (udev's own messages begin with `libudev`). */
export function parseUevent(datagram: Buffer): Uevent | undefined {
  const [head = '', ...entries] = datagram.toString('utf8').split('\0');
  const at = head.indexOf('@');
  if (at <= 0) return undefined;
  const values = new Map(
    entries
      .filter((entry) => entry.includes('='))
      .map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
  return { action: head.slice(0, at), path: head.slice(at + 1), subsystem: values.get('SUBSYSTEM'), values };
}
