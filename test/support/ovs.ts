// A private Open vSwitch for one test: real ovsdb-server and ovs-vswitchd (userspace datapath), with its database, sockets and
// logs in a temporary directory, in a network namespace, because two of them in one namespace collide on the tap `ovs-netdev`.
import { accessSync, constants, existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import type { Daemon } from './daemon.ts';
import { makeNetns } from './netns.ts';
import { type OvsdbServer, type OvsdbServerOptions, program, startOvsdbServer } from './ovsdb-server.ts';

export interface Ovs extends AsyncDisposable {
  /** `unix:PATH` of ovsdb-server. */
  readonly address: string;
  /** Sockets, database and logs (`ovs-vswitchd.log`). */
  readonly dir: string;
  /** Name of the network namespace that both daemons run in. */
  readonly netns: string;
  /** To stop, pause and start ovsdb-server alone. */
  readonly ovsdb: OvsdbServer;
  /** `ovs-vsctl ARGS`, its output without the last newline; a non-zero exit is thrown with its words. Waits for ovs-vswitchd. */
  vsctl(...args: readonly string[]): Promise<string>;
  /** `ovs-appctl -t ovs-vswitchd ARGS`. */
  appctl(...args: readonly string[]): Promise<string>;
  /** A userspace bridge in standalone fail mode (a learning switch), its local port up. */
  addBridge(name: string): Promise<void>;
  /** Removes all bridges. */
  reset(): Promise<void>;
  /** Both daemons down, the database stays; and back. */
  stop(): Promise<void>;
  start(): Promise<void>;
  stopVswitchd(): Promise<void>;
  startVswitchd(): Promise<void>;
  /** As a crash would. */
  killVswitchd(): Promise<void>;
  /** Hangs, with all its connections open; and goes on. */
  pauseVswitchd(): void;
  resumeVswitchd(): void;
}

export interface OvsOptions extends OvsdbServerOptions {
  /** With DPDK, without hugepages and NICs; it then takes all of CPU 1 that nobody else wants. */
  readonly dpdk?: boolean;
}

const dpdkVswitchd = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';
const dpdkSettings = [
  'other_config:dpdk-init=true',
  'other_config:pmd-cpu-mask=0x2',
  // With a shared pool, Open vSwitch asks for 262144 more buffers when a second MTU appears.
  'other_config:per-port-memory=true',
  'other_config:stats-update-interval=1000',
  'other_config:dpdk-extra="--no-pci --no-huge --legacy-mem -m 512 --no-telemetry --no-shconf"',
];

/**
 * Starts one and waits until it answers. Disposing ends both daemons and removes the directory. Without the name of a namespace (one
 * that has no OVS of its own) it makes one that ends with it.
 */
export async function startOvs(options: OvsOptions = {}): Promise<Ovs> {
  await using undo = new AsyncDisposableStack();
  const netns = options.netns ?? undo.use(await makeNetns()).name;
  if (options.netns === undefined) await program('ip', ['-n', netns, 'link', 'set', 'dev', 'lo', 'up']);
  const ovsdb = undo.use(await startOvsdbServer({ ...options, netns }));

  let vswitchd: Daemon | undefined;
  const vswitchdProgram = options.dpdk ? dpdkVswitchd : 'ovs-vswitchd';
  if (options.dpdk) await ovsdb.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...dpdkSettings);
  const startVswitchd = async () => {
    vswitchd = ovsdb.daemon(vswitchdProgram, ovsdb.address, '--disable-system');
    if (options.dpdk && vswitchd.pid !== undefined) setPriority(vswitchd.pid, 15);
    await ovsdb.vsctl('--timeout=25', 'init');
  };
  const stopVswitchd = async () => vswitchd?.stop();
  undo.defer(stopVswitchd);
  await startVswitchd();

  const kept = undo.move();
  return {
    address: ovsdb.address,
    dir: ovsdb.dir,
    netns,
    ovsdb,
    vsctl: ovsdb.vsctl,
    appctl: (...args) => program('ovs-appctl', ['--timeout=10', '-t', `${ovsdb.dir}/${basename(vswitchdProgram)}.ctl`, ...args]),
    addBridge: async (name) => {
      await ovsdb.vsctl('add-br', name, '--', 'set', 'Bridge', name, 'datapath_type=netdev', 'fail-mode=standalone');
      await program('ip', ['-n', netns, 'link', 'set', 'dev', name, 'up']);
    },
    reset: async () => {
      const names = (await ovsdb.vsctl('list-br')).split('\n').filter((name) => name !== '');
      if (names.length > 0) await ovsdb.vsctl(...names.flatMap((name) => ['--', 'del-br', name]));
    },
    stop: async () => {
      await stopVswitchd();
      await ovsdb.stop();
    },
    start: async () => {
      await ovsdb.start();
      await startVswitchd();
    },
    stopVswitchd,
    startVswitchd,
    killVswitchd: async () => {
      vswitchd?.signal('SIGKILL');
      await vswitchd?.stop();
    },
    pauseVswitchd: () => vswitchd?.signal('SIGSTOP'),
    resumeVswitchd: () => vswitchd?.signal('SIGCONT'),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Skips a suite or a test, saying why, where no OVS can be started: `before(skipWithoutOvs)`. */
export function skipWithoutOvs(this: Mocha.Context): void {
  const reason = whyNoOvs();
  if (reason === undefined) return;
  console.log(`      skipped: ${reason}`);
  this.skip();
}

/** What is missing for startOvs, or undefined. */
function whyNoOvs(): string | undefined {
  if (process.getuid?.() !== 0) return 'Open vSwitch in a network namespace needs root';
  for (const file of ['/usr/sbin/ovs-vswitchd', '/usr/sbin/ovsdb-server', '/usr/bin/ovs-vsctl']) {
    try {
      accessSync(file, constants.X_OK);
    } catch {
      return `${file} is not installed (Debian: openvswitch-switch)`;
    }
  }
  return undefined;
}

/** The same, where it is to be the one with DPDK. */
export function skipWithoutDpdkOvs(this: Mocha.Context): void {
  skipWithoutOvs.call(this);
  if (existsSync(dpdkVswitchd)) return;
  console.log(`      skipped: ${dpdkVswitchd} is not installed (Debian: openvswitch-switch-dpdk)`);
  this.skip();
}
