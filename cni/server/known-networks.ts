// The networks for which this server was called since its start, and the IPAM plugins that they name. For `doctor`: a network whose ADDs all fail is
// in no journal.
import { isRecord } from '../../host/base/json.ts';
import type { Invocation } from '../cni.ts';

/** What an IPAM plugin needs on the node besides its executable depends on these keys. */
export interface KnownIpam {
  readonly type: string;
  /** The socket of the daemon of `dhcp`. */
  readonly daemonSocketPath?: string;
  /** The file of `whereabouts`. */
  readonly configurationPath?: string;
}

export interface KnownNetwork {
  readonly name: string;
  /** Absent when the network gives no addresses. */
  readonly ipam?: KnownIpam;
}

export interface KnownNetworks {
  note(invocation: Invocation): void;
  all(): readonly KnownNetwork[];
}

/** More networks than this are not remembered. */
const most = 256;

export function rememberNetworks(): KnownNetworks {
  const networks = new Map<string, KnownNetwork>();
  return {
    note({ env, stdin }) {
      if (env['CNI_COMMAND'] !== 'ADD') return;
      const network = networkOf(parse(stdin));
      if (network === undefined || (networks.size >= most && !networks.has(network.name))) return;
      networks.set(network.name, network);
    },
    all: () => [...networks.values()],
  };
}

/** Undefined for what is not a network. */
export function networkOf(value: unknown): KnownNetwork | undefined {
  if (!isRecord(value) || typeof value['name'] !== 'string') return undefined;
  const ipam = ipamOf(value['ipam']);
  return { name: value['name'], ...(ipam && { ipam }) };
}

export function ipamOf(ipam: unknown): KnownIpam | undefined {
  if (!isRecord(ipam) || typeof ipam['type'] !== 'string') return undefined;
  const { type, daemonSocketPath: socket, configuration_path: file } = ipam;
  return {
    type: String(type),
    ...(typeof socket === 'string' && { daemonSocketPath: socket }),
    ...(typeof file === 'string' && { configurationPath: file }),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
