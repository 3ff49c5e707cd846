// A dpdk-testpmd that plays the application in a pod: it has a virtio device and serves its socket. It answers ARP and echo requests,
// or sends, or counts. It needs no root, no hugepages and no netdev.
import { existsSync, rmSync } from 'node:fs';
import { type Daemon, startDaemon } from './daemon.ts';
import { until } from './until.ts';

export interface ConsumerOptions {
  readonly socket: string;
  readonly mac: string;
  /** testpmd's forward mode. Default: icmpecho. */
  readonly mode?: string;
  /** More of testpmd's arguments. */
  readonly args?: readonly string[];
}

export interface Consumer extends AsyncDisposable {
  readonly pid: number | undefined;
  running(): boolean;
  kill(): Promise<void>;
}

/** Resolves when its socket is there. It leaves the CPU to others, and CPU 1 to relays. */
export async function startConsumer({ socket, mac, mode = 'icmpecho', args = [] }: ConsumerOptions): Promise<Consumer> {
  rmSync(socket, { force: true });
  const daemon: Daemon = startDaemon(
    'nice',
    [
      ...[
        '-n',
        '15',
        'dpdk-testpmd',
        '--lcores',
        '0@1,1@0',
        '--no-pci',
        '--no-huge',
        '--no-shconf',
        '-m',
        '64',
        '--no-telemetry',
      ],
      ...['--vdev', `net_virtio_user0,path=${socket},server=1,mac=${mac}`, '--'],
      ...[`--forward-mode=${mode}`, '--nb-cores=1', '--total-num-mbufs=2048', '--no-numa', '--disable-link-check'],
      ...['--stats-period=65534', ...args],
    ],
    process.env,
  );
  const kill = async () => {
    daemon.signal('SIGKILL');
    await daemon.stop();
  };
  try {
    await until(async () => existsSync(socket), `the consumer makes ${socket}`);
  } catch (error) {
    await kill();
    throw error;
  }
  return { pid: daemon.pid, running: daemon.running, kill, [Symbol.asyncDispose]: kill };
}

/** Skips a suite where DPDK is not there, saying so. */
export function skipWithoutDpdk(this: Mocha.Context): void {
  if (existsSync('/usr/bin/dpdk-testpmd')) return;
  console.log('      skipped: dpdk-testpmd is not installed (Debian: dpdk-dev)');
  this.skip();
}
