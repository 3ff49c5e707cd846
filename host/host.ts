// The machine as one record. Everything that touches it takes a Host first, so that tests run on machines of their own side by side.

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
  /** Of virtio-forwarder ports; absent: none is configured on this node. */
  readonly forwarder?: Forwarder;
}
