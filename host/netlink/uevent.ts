// The kernel's own events of devices that are added, removed, bound and moved. udev's events come later, on another group.
// The socket is polled in libuv's event loop (koffi's poll). So waiting costs no thread, and needs no worker and no helper process.
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

/** Milliseconds of one wait. The end can take as long, because a descriptor is not closed while it is polled. */
const patience = 1000;
const ueventGroup = 1;

/**
 * Yields events from now on, until the signal ends it. `lost` stands for an unknown number of events that the kernel had to drop; after
 * it, only a look at the machine helps. Opening needs no privilege. Events of network devices come from our own namespace only.
 * @throws SystemError when the kernel gives no such socket.
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

/** Undefined for a message that is no kernel event (udev's own messages begin with `libudev`). */
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
