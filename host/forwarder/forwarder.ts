// What a forwarder is: a program in user space that relays a vhost-user socket to a vf. One interface for all of them; which one a
// node has stands in its configuration (settings.ts). Not the keeping of pairs over restarts: keeper.ts.
import type { NewPort } from '../ovs/bridge.ts';

/** Below it each vf and each slot has a directory of its own, which its container owns. */
export const socketDirectory = '/run/smartnic/vhost';

/** A socket and the device that it is relayed to. */
export interface Pair {
  /** The vf's PCI address `dddd:bb:dd.f`; a slot's name; or the name of a netdev that stands for a vf, which testpmd relays to as well. */
  readonly device: string;
  /** Path on the host, at most 107 bytes. The consumer makes the socket and may do so later; the forwarder connects to it. */
  readonly socket: string;
  /** Lower-case, colon-separated. */
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
}

export type PairName = Pick<Pair, 'device' | 'socket'>;

export interface Attached extends PairName {
  /** The forwarder's own words on how it is, for people. */
  readonly status: string;
}

export interface Forwarder extends AsyncDisposable {
  /**
   * Resolves when the forwarder has the pair, also if it had it before. Throws the forwarder's own words when it refuses,
   * Unavailable when it does not answer.
   */
  attach(pair: Pair): Promise<void>;
  /** Resolves when the forwarder has let go of socket and device, also if it never had them. Throws as attach. */
  detach(pair: PairName): Promise<void>;
  /** Unavailable when the forwarder does not answer. */
  attached(): Promise<readonly Attached[]>;
  /** Why it can't serve just now; undefined when it can. Never throws. */
  health(): Promise<string | undefined>;
  /** What the bridge's port is, where the forwarder is the switch itself. Absent: the port is the vf's representor. */
  readonly port?: (pair: Pick<Pair, 'socket' | 'mtu'>) => MadePort;
}

/** A port of the bridge that no netdev stands behind. */
export type MadePort = Required<Pick<NewPort, 'type' | 'options' | 'mtuRequest'>>;
