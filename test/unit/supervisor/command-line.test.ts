import assert from 'node:assert/strict';
import { relayArguments, vhostDevice } from '../../../supervisor/command-line.ts';

const socket = '/run/smartnic/vhost/0000:0a:00.1/vhost.sock';
const pair = { device: '0000:0a:00.1', socket, mac: '02:00:00:00:00:01', mtu: 1500 };
const settings = { mainCore: 0, memory: 128, hugepages: true };

describe("a relay's command line", () => {
  it('has the vf and the socket and nothing that outlives the process', () => {
    assert.equal(
      relayArguments(pair, settings, 3).join(' '),
      `--lcores 0@0,1@3 --in-memory -m 128 --no-telemetry -a 0000:0a:00.1 --vdev net_vhost0,iface=${socket},client=1,queues=1 -- ` +
        '--forward-mode=io --nb-cores=1 --rxq=1 --txq=1 --total-num-mbufs=8192 --nb-ports=2 --disable-link-check --stats-period=65534',
    );
  });

  it('does without hugepages, where the files of their configuration are switched off by another word', () => {
    const args = relayArguments(pair, { ...settings, hugepages: false }, 3);
    assert(args.includes('--no-huge') && args.includes('--no-shconf') && !args.includes('--in-memory'));
  });

  it('relays to a netdev without touching any PCI device', () => {
    const args = relayArguments({ ...pair, device: 'vf0' }, settings, 3);
    assert(args.includes('--no-pci') && args.includes('net_af_packet0,iface=vf0') && !args.includes('-a'));
  });

  it('has frames and buffers for a larger MTU', () => {
    const args = relayArguments({ ...pair, mtu: 9000 }, settings, 3);
    assert.deepEqual(args.slice(-2), ['--max-pkt-len=9022', '--mbuf-size=9152']);
  });

  it('is told apart from all others by its socket', () => {
    assert(relayArguments(pair, settings, 3).includes(vhostDevice(pair)));
    assert.notEqual(vhostDevice(pair), vhostDevice({ socket: `${socket}2` }));
  });
});
