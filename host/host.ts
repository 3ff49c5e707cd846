// The machine as one record. Everything that touches the machine takes a Host as its first argument, so that tests run side by side on machines of their own.

import type { Logger } from './base/log.ts';
import type { Machine, Stepping } from './base/machine.ts';
import type { Forwarder } from './forwarder/forwarder.ts';
import type { Netlinks } from './netlink/netlink.ts';
import type { Ovsdb } from './ovs/ovsdb.ts';
import type { Run } from './program/run.ts';

export interface Host extends Machine, Stepping, Netlinks {
  readonly log: Logger;
  readonly run: Run;
  /** The (shared, reconnecting) connection to the OVSDB server at `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT`. */
  readonly ovsdb: (address: string) => Ovsdb;
  /** The forwarder of virtio-forwarder ports. Absent: this node has none. */
  readonly forwarder?: Forwarder;
}
