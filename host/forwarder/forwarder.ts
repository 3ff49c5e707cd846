// What a forwarder is: a program in user space that relays a vhost-user socket to a VF. All forwarders have this one interface; the node's
// configuration says which one it has (settings.ts). keeper.ts keeps the pairs over restarts.
import type { NewPort } from '../ovs/bridge.ts';

/** Each VF and each slot has a directory of its own below it, which its container owns. */
export const socketDirectory = '/run/smartnic/vhost';

/** A socket and the device that it is relayed to. */
export interface Pair {
  /** The vf's PCI address `dddd:bb:dd.f`; a slot's name; or the name of a netdev that stands for a vf, which testpmd relays to as well. */
  readonly device: string;
  /** Path on the host, at most 107 bytes. The consumer creates the socket, perhaps later, and the forwarder connects to it. */
  readonly socket: string;
  /** Lower-case, colon-separated. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
}

export type PairName = Pick<Pair, 'device' | 'socket'>;

export interface Attached extends PairName {
  /** The forwarder's own words about its state, for people. */
  readonly status: string;
  /** The forwarder has not met the consumer yet. */
  readonly unconnected?: true;
}

export interface Forwarder extends AsyncDisposable {
  /**
   * Resolves when the forwarder has the pair, even if it had it before. Throws the forwarder's own words when it refuses, and
   * Unavailable when it does not answer.
   */
  attach(pair: Pair): Promise<void>;
  /** Resolves when the forwarder has let go of socket and device, even if it never had them. Throws like attach. */
  detach(pair: PairName): Promise<void>;
  /** Unavailable when the forwarder does not answer. */
  attached(): Promise<readonly Attached[]>;
  /** Why it can't serve now; undefined when it can. Never throws. */
  health(): Promise<string | undefined>;
  /** The bridge's port, where the forwarder is the switch itself. Absent: the port is the VF's representor. */
  readonly port?: (pair: Pick<Pair, 'socket' | 'mtu'>) => MadePort;
}

/** A port of the bridge that no netdev stands behind. */
export type MadePort = Required<Pick<NewPort, 'type' | 'options' | 'mtuRequest'>>;
