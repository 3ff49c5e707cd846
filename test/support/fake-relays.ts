// The relays that fake-virtio-forwarder.ts has, and how the daemon's port control answers, as the real one did (1.5.99 with DPDK 22.11.11, driven by
// our client). This file opens no sockets.
import { lstatSync } from 'node:fs';

export interface Pci {
  readonly domain: number;
  readonly bus: number;
  readonly slot: number;
  readonly function: number;
}

/** Fields that the request lacks are undefined, which to the daemon is another thing than empty. */
export interface ControlRequest {
  readonly op: string;
  readonly pci_addrs?: readonly Pci[];
  readonly virtio_id?: number;
  readonly conditional?: boolean;
  readonly vhost_path?: string;
}

export interface RelayOptions {
  /** RTE_MAX_ETHPORTS of Debian's DPDK: 32. */
  readonly relays?: number;
  /** PCI addresses that can't be probed. */
  readonly broken?: readonly string[];
  /** False: started without --dynamic-sockets, as it is shipped. */
  readonly dynamicSockets?: boolean;
  /** DPDK before 22.11.8 found devices by names in upper case, too. */
  readonly oldDpdk?: boolean;
}

interface Relay {
  readonly id: number;
  pci: string;
  path: string;
  /** A removal that a worker did not serve in time goes on: no statistics name the VF any more, and the daemon has it still. */
  removing: boolean;
  /** The consumer's handshake came before the daemon had noted the path. */
  raced: boolean;
}

const sources = {
  ADD: 'virtio_forwarder_add_vf2()',
  REMOVE: 'virtio_forwarder_remove_vf2()',
  ADD_SOCK: 'virtio_add_sock_dev_pair()',
  REMOVE_SOCK: 'virtio_remove_sock_dev_pair()',
  QUERY_PCI: 'virtio_query_pci()',
} as const;
const ok = { status: 'OK' };
/** It accepts no such request: the answer has no code. */
const bare = { status: 'ERROR' };
const no = (op: keyof typeof sources, error_code: number) => ({
  status: 'ERROR',
  error_code,
  error_code_source: sources[op],
});

/** Bytes of a path that it accepts, and that it reports. */
const [longestPath, reportedPath] = [250, 127];

export function relayTable({ relays: count = 32, broken = [], dynamicSockets = true, oldDpdk = false }: RelayOptions) {
  const relays = Array.from({ length: count }, (_, id): Relay => ({ id, pci: '', path: '', removing: false, raced: false }));
  const used = () => relays.filter(({ pci, path }) => pci !== '' || path !== '');
  /** VFs that it was told to remove and could not; they stay until it ends. */
  const leaked = new Set<string>();

  const cannotProbe = (pci: string) => broken.some((each) => each.toUpperCase() === pci) || (!oldDpdk && /[A-F]/.test(pci));

  /** The order of the checks is the daemon's. */
  const addSock = (path: string | undefined, pci: string | undefined, wrong: Wrong) => {
    if (path === undefined) return no('ADD_SOCK', -1);
    if (pci === undefined) return no('ADD_SOCK', 4);
    if (leaked.has(pci) || relays.some((relay) => relay.pci === pci)) return no('ADD_SOCK', -17);
    if (relays.some((relay) => path !== '' && relay.path === path)) return no('ADD_SOCK', 1);
    const idle = relays.find((relay) => relay.pci === '' && relay.path === '' && !relay.removing);
    if (!dynamicSockets || idle === undefined) return no('ADD_SOCK', 2);
    if (wrong.code !== undefined) return no('ADD_SOCK', wrong.code);
    if (cannotProbe(pci)) return no('ADD_SOCK', 3);
    Object.assign(idle, { pci, path, raced: wrong.race });
    return ok;
  };

  const removeSock = (path: string | undefined, pci: string | undefined, code: number | undefined) => {
    if (path === undefined && pci === undefined) return no('REMOVE_SOCK', -1);
    const relay = relays.find((each) => (path === undefined ? each.pci === pci : each.path === path));
    if (relay === undefined) return no('REMOVE_SOCK', 1);
    if (pci !== undefined && relay.pci !== pci) return no('REMOVE_SOCK', 2);
    if (relay.path === '') {
      if (relays.some((each) => each.path !== '')) throw new Error('the real daemon dies here: it walks a path that is NULL');
      return no('REMOVE_SOCK', 3);
    }
    relay.path = '';
    // The daemon has forgotten the path by now, and the relay keeps the VF.
    if (code === 3) return no('REMOVE_SOCK', 3);
    if (code !== undefined) return leak(relay, 'REMOVE_SOCK', code);
    Object.assign(relay, { pci: '', raced: false });
    return ok;
  };

  const leak = (relay: Relay, op: 'REMOVE' | 'REMOVE_SOCK', code: number) => {
    leaked.add(relay.pci);
    Object.assign(relay, { pci: '', path: '', removing: true });
    return no(op, code);
  };

  const add = (id: number | undefined, pci: string | undefined) => {
    const relay = id === undefined ? undefined : relays[id];
    if (relay === undefined || pci === undefined) return no('ADD', 1);
    if (relay.pci !== '') return no('ADD', 8);
    // Another relay may have the same VF: it does not look.
    relay.pci = pci;
    return ok;
  };

  const remove = (id: number | undefined, pci: string | undefined, conditional: boolean, code: number | undefined) => {
    if (id === undefined) return bare;
    const relay = relays[id];
    if (relay === undefined) return no('REMOVE', 1);
    if (relay.pci === '') return conditional ? ok : no('REMOVE', 4);
    if (relay.pci !== pci) return no('REMOVE', 3);
    if (code !== undefined) return leak(relay, 'REMOVE', code);
    relay.pci = '';
    return ok;
  };

  const query = (path: string | undefined) => {
    if (path === undefined) return bare;
    const relay = relays.find((each) => each.path === path && path !== '');
    return relay === undefined ? no('QUERY_PCI', 2) : { status: 'OK', query_string: relay.pci };
  };

  return {
    control({ op, pci_addrs = [], virtio_id, conditional = true, vhost_path }: ControlRequest, wrong: Wrong): object {
      const pci = pci_addrs[0] && format(pci_addrs[0]);
      if (Buffer.byteLength(vhost_path ?? '') > longestPath) return bare;
      switch (op) {
        case 'ADD_SOCK':
          return addSock(vhost_path, pci, wrong);
        case 'REMOVE_SOCK':
          return removeSock(vhost_path, pci, wrong.code);
        case 'ADD':
          return add(virtio_id, pci);
        case 'REMOVE':
          return remove(virtio_id, pci, conditional, wrong.code);
        case 'QUERY_PCI':
          return query(vhost_path);
        default:
          return bare;
      }
    },
    /** A worker reacts at last: statistics show nothing of the removal any more. */
    endRemovals: () => {
      for (const relay of relays) relay.removing = false;
    },
    /** Idle ones too, as the daemon tells them; without `ids`, all. A number that no relay has is skipped. */
    states: (ids: readonly number[] = []) => relays.filter(({ id }) => ids.length === 0 || ids.includes(id)).map(stateOf),
    count,
    pairs: () => used().map(({ path, pci }) => [path, pci] as const),
  };
}

export interface Wrong {
  readonly code?: number;
  readonly race: boolean;
}

function stateOf({ id, pci, path, removing, raced }: Relay): object {
  const active = pci !== '' && path !== '' && !raced && isSocket(path);
  return {
    id,
    active,
    vhost: { vhost_socket_name: path === '' ? 'NONE' : path.slice(0, reportedPath) },
    ...(pci === '' ? {} : { vf: { pci_addr_str: pci } }),
    vf_to_vm: {
      active,
      internal_state: removing ? 'DPDK_REMOVING1' : pci === '' ? 'DPDK_UNINIT' : active ? 'DPDK_READY' : 'DPDK_ADDED',
      ...rates('rx_from_vf', 'tx_to_vm'),
    },
    vm_to_vf: { active, internal_state: active ? 'VIRTIO_READY' : 'VIRTIO_UNINIT', ...rates('rx_from_vm', 'tx_to_vf') },
    // The consumer's NUMA node, as an unsigned number.
    socket_id: active ? 0 : 0xffff_ffff,
  };
}

/** DPDK connects to it once a second. */
function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

/** `%04X:%02X:%02X.%X` */
function format({ domain, bus, slot, function: fn }: Pci): string {
  const hex = (value: number, length: number) => value.toString(16).padStart(length, '0').toUpperCase();
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${hex(fn, 1)}`;
}

function rates(...names: readonly string[]): object {
  return Object.fromEntries(names.flatMap((name) => [`pkt_rate_${name}`, `byte_rate_${name}`]).map((name) => [name, 0]));
}
