// The relays that fake-virtio-forwarder.ts has, and how the daemon's port control answers. This file opens no sockets.

export interface Pci {
  readonly domain: number;
  readonly bus: number;
  readonly slot: number;
  readonly function: number;
}

interface Request {
  readonly op: string;
  readonly pci_addrs: readonly Pci[];
  readonly virtio_id: number;
  readonly vhost_path: string;
}

interface Relay {
  readonly id: number;
  pci: string;
  path: string;
}

const source = { add: 'virtio_add_sock_dev_pair()', remove: 'virtio_remove_sock_dev_pair()' };
const ok = { status: 'OK' };
const no = (error_code?: number, error_code_source?: string) => ({ status: 'ERROR', error_code, error_code_source });

export function relayTable({
  relays: count = 64,
  broken = [],
}: {
  readonly relays?: number;
  readonly broken?: readonly string[];
}) {
  const relays = Array.from({ length: count }, (_, id): Relay => ({ id, pci: '', path: '' }));
  const used = () => relays.filter(({ pci, path }) => pci !== '' || path !== '');

  /** The order of the checks is the daemon's. */
  const addSock = (path: string, pci: string, code: number | undefined) => {
    if (relays.some((relay) => relay.pci === pci)) return no(-17, source.add);
    if (relays.some((relay) => relay.path === path)) return no(1, source.add);
    const idle = relays.find((relay) => relay.pci === '' && relay.path === '');
    if (idle === undefined) return no(2, source.add);
    if (code !== undefined) return no(code, source.add);
    if (broken.some((each) => each.toUpperCase() === pci)) return no(3, source.add);
    Object.assign(idle, { pci, path });
    return ok;
  };

  const removeSock = (path: string, pci: string | undefined, code: number | undefined) => {
    if (path === '' && pci === undefined) return no(-1, source.remove);
    const relay = relays.find((each) => (path === '' ? each.pci === pci : each.path === path));
    if (relay === undefined) return no(1, source.remove);
    if (path === '' && relay.path === '') throw new Error('the real daemon dies here: it walks a path that is NULL');
    if (pci !== undefined && relay.pci !== pci) return no(2, source.remove);
    relay.path = '';
    // The daemon has forgotten the path by now, and the relay keeps the VF.
    if (code !== undefined) return no(code, source.remove);
    relay.pci = '';
    return ok;
  };

  const remove = (id: number, pci: string | undefined, code: number | undefined) => {
    const relay = relays[id];
    if (relay === undefined) return no(1);
    if (relay.pci === '') return no(4);
    if (pci !== undefined && relay.pci !== pci) return no(3);
    if (code !== undefined) return no(code);
    relay.pci = '';
    return ok;
  };

  const query = (path: string) => {
    const relay = relays.find((each) => each.path === path && path !== '');
    return relay === undefined ? no(2) : { status: 'OK', query_string: relay.pci };
  };

  return {
    control({ op, pci_addrs, virtio_id, vhost_path }: Request, code: number | undefined): object {
      const pci = pci_addrs[0] && format(pci_addrs[0]);
      if (vhost_path.length > 127) return no();
      switch (op) {
        case 'ADD_SOCK':
          if (pci === undefined) throw new Error('the real daemon dies here: it looks at an address that is NULL');
          return vhost_path === '' ? no() : addSock(vhost_path, pci, code);
        case 'REMOVE_SOCK':
          return removeSock(vhost_path, pci, code);
        case 'REMOVE':
          return remove(virtio_id, pci, code);
        case 'QUERY_PCI':
          return query(vhost_path);
        default:
          return no();
      }
    },
    /** Idle ones too, as the daemon tells them. */
    states: () =>
      relays.map(({ id, pci, path }) => ({
        id,
        active: false,
        vhost: { vhost_socket_name: path === '' ? 'NONE' : path },
        vf: pci === '' ? undefined : { pci_addr_str: pci },
        vf_to_vm: {
          active: false,
          internal_state: pci === '' ? 'DPDK_UNINIT' : 'DPDK_ADDED',
          ...rates('rx_from_vf', 'tx_to_vm'),
        },
        vm_to_vf: { active: false, internal_state: 'VIRTIO_UNINIT', ...rates('rx_from_vm', 'tx_to_vf') },
        socket_id: 0,
      })),
    pairs: () => used().map(({ path, pci }) => [path, pci] as const),
  };
}

/** `%04X:%02X:%02X.%X` */
function format({ domain, bus, slot, function: fn }: Pci): string {
  const hex = (value: number, length: number) => value.toString(16).padStart(length, '0').toUpperCase();
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${hex(fn, 1)}`;
}

function rates(...names: readonly string[]): object {
  return Object.fromEntries(names.flatMap((name) => [`pkt_rate_${name}`, `byte_rate_${name}`]).map((name) => [name, 0]));
}
