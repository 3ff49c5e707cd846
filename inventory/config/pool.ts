// What a configuration of pools is once it is read, in whichever of the two forms it was written.
import type { VfDriver } from '../../vnic/drivers.ts';
import type { OfferedType } from '../../vnic/index.ts';
import type { NumaPolicy } from './numa.ts';
import type { Selector } from './selectors.ts';

export interface VhostDirectory {
  /** Permission bits, e.g. 0o770. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Pool {
  readonly name: string;
  /** Line of its entry in the file. */
  readonly line: number;
  /** One resource per vnic type, all of the same vfs. */
  readonly resources: readonly { readonly name: string; readonly vnicType: OfferedType }[];
  /** How a pod gets its VF, of a type that leaves a choice. */
  readonly driver: VfDriver;
  /** Of its vfs; none: it offers slots. */
  readonly selectors: readonly Selector[];
  /** How many sockets it offers, for a forwarder that takes no vf. */
  readonly slots?: number;
  readonly numaPolicy: NumaPolicy;
  readonly allocation: 'pack' | 'spread';
  readonly cdi: boolean;
  readonly vhost: VhostDirectory;
  /** A bridge that must exist for its vfs to be healthy. */
  readonly bridge?: string;
  /** A unix socket that the forwarder must accept connections on for its virtio-forwarder units to be healthy. */
  readonly forwarder?: string;
}

export interface Config {
  /** Where it came from, for messages. */
  readonly file: string;
  readonly pools: readonly Pool[];
  /** What a vf that fits two pools is: an error, or the first pool's. */
  readonly overlap: 'error' | 'first';
  /** What is taken otherwise than it was perhaps meant, with line. */
  readonly warnings: readonly string[];
}
