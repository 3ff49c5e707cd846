// The arguments with which testpmd is started for a pair. Pure.
import { isPciAddress } from '../host/base/pci-address.ts';
import type { Pair } from '../host/forwarder/forwarder.ts';
import type { TestpmdSettings } from '../host/forwarder/settings.ts';

export type RelaySettings = Pick<TestpmdSettings, 'mainCore' | 'memory' | 'hugepages'>;

/** @param worker - the CPU that forwards. */
export function relayArguments(pair: Pair, { mainCore, memory, hugepages }: RelaySettings, worker: number): readonly string[] {
  const isPci = isPciAddress(pair.device);
  return [
    // Given by CPU, so that both may be the same one on small machines.
    ...['--lcores', `0@${mainCore},1@${worker}`],
    // Nothing that outlives the process: no files in /dev/hugepages, no shared configuration in /run/dpdk.
    ...(hugepages ? ['--in-memory'] : ['--no-huge', '--no-shconf']),
    ...['-m', String(memory), '--no-telemetry'],
    ...(isPci ? ['-a', pair.device] : ['--no-pci', '--vdev', `net_af_packet0,iface=${pair.device}`]),
    ...['--vdev', vhostDevice(pair)],
    '--',
    ...['--forward-mode=io', '--nb-cores=1', '--rxq=1', '--txq=1', '--total-num-mbufs=8192'],
    // Without the VF's port, DPDK would go on with the other port alone and relay nothing. With this it ends and says so.
    '--nb-ports=2',
    // Otherwise it waits 9 s for the link of a socket that nobody has created yet.
    '--disable-link-check',
    // With a period it does not read its stdin. Nobody wants the figures, so this is the longest period that every DPDK accepts: 18 hours.
    '--stats-period=65534',
    ...jumbo(pair.mtu),
  ];
}

/** A relay is found among the machine's processes by this argument, because nobody else connects to this socket as a forwarder. */
export function vhostDevice({ socket }: Pick<Pair, 'socket'>): string {
  return `net_vhost0,iface=${socket},client=1,queues=1`;
}

/** A frame is the MTU, 14 bytes of Ethernet header, and room for two VLAN tags; a buffer has 128 bytes before the frame. */
function jumbo(mtu: number): readonly string[] {
  if (mtu <= 1500) return [];
  return [`--max-pkt-len=${mtu + 22}`, `--mbuf-size=${Math.ceil((mtu + 22 + 128) / 64) * 64}`];
}
