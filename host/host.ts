// The machine as one record. Everything that touches it takes a Host first, so that tests run on machines of their own side by side.

import type { Logger } from './base/log.ts';
import type { Forwarder } from './forwarder/forwarder.ts';
import type { Netns } from './kernel/netns.ts';
import type { Netlink } from './netlink/netlink.ts';
import type { Ovsdb } from './ovs/ovsdb.ts';
import type { Run } from './program/run.ts';

export interface Host {
  /** Where the machine's file system begins: `/`, or a directory that a test filled with a sysfs tree. */
  readonly root: string;
  readonly log: Logger;
  readonly run: Run;
  /** Opens rtnetlink in a network namespace, or in the machine's own. The caller disposes it. */
  readonly netlink: (netns?: Netns) => Netlink;
  /** The (shared, reconnecting) connection to the OVSDB server at `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT`. */
  readonly ovsdb: (address: string) => Ovsdb;
  /** Of virtio-forwarder ports; absent: none is configured on this node. */
  readonly forwarder?: Forwarder;
  /** Called between any two steps that change the machine. Does nothing but in tests, where the process may die here. */
  readonly step: (name: string) => void;
}
