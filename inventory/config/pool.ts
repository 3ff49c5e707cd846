// A configuration of pools after it was read, whichever of the two forms it was written in.
import type { Ownership } from '../../host/files/directories.ts';
import type { VfDriver } from '../../vnic/drivers.ts';
import type { OfferedType } from '../../vnic/index.ts';
import type { NumaPolicy } from './numa.ts';
import type { Selector } from './selectors.ts';

export interface Pool {
  readonly name: string;
  /** The line of its entry in the file. */
  readonly line: number;
  /** One resource per vnic type. All of them offer the same VFs. If there is none, its VFs are only kept from the pools behind it. */
  readonly resources: readonly { readonly name: string; readonly vnicType: OfferedType }[];
  /** How a pod gets its VF, for types that have a choice. */
  readonly driver: VfDriver;
  /** The pool's VFs fit one of these. If empty, the pool offers slots. */
  readonly selectors: readonly Selector[];
  /** The number of sockets that it offers, for a forwarder that takes no VF. */
  readonly slots?: number;
  readonly numaPolicy: NumaPolicy;
  readonly allocation: 'pack' | 'spread';
  readonly cdi: boolean;
  /** Of the directories of sockets. */
  readonly vhost: Ownership;
  /** A bridge that must exist for its VFs to be healthy. */
  readonly bridge?: string;
  /** A unix socket on which the forwarder must accept connections. Otherwise the pool's virtio-forwarder units are unhealthy. */
  readonly forwarder?: string;
}

export interface Config {
  /** The file's name, for messages. */
  readonly file: string;
  readonly pools: readonly Pool[];
  /** What happens when a VF fits two pools: that is an error, or the first pool gets the VF. */
  readonly overlap: 'error' | 'first';
  /** Sentences about keys that may not do what their writer meant. Each names its line. */
  readonly warnings: readonly string[];
}
