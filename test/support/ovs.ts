// A private Open vSwitch for one test: real ovsdb-server and ovs-vswitchd (userspace datapath), with its database, sockets and
// logs in a temporary directory, in a network namespace, because two of them in one namespace collide on the tap `ovs-netdev`.
import { accessSync, constants } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../host/run.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { makeNetns } from './netns.ts';

export interface Ovs extends AsyncDisposable {
  /** `unix:PATH` of ovsdb-server. */
  readonly address: string;
  /** Sockets, database and logs (`ovs-vswitchd.log`). */
  readonly dir: string;
  /** Name of the network namespace that both daemons run in. */
  readonly netns: string;
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
  stopOvsdb(): Promise<void>;
  startOvsdb(): Promise<void>;
}

export interface OvsOptions {
  /** Name of an existing namespace without an OVS of its own; absent: a new one that ends with the OVS. */
  readonly netns?: string;
  /** More `--remote=…`/`--private-key=…` arguments of ovsdb-server; `DIR` stands for the directory. */
  readonly ovsdbArgs?: readonly string[];
  /** Fills the directory (certificates) before the daemons start. */
  readonly prepare?: (dir: string) => Promise<void>;
}

/** Starts one and waits until it answers. Disposing ends both daemons and removes directory and namespace. */
export async function startOvs(options: OvsOptions = {}): Promise<Ovs> {
  await using undo = new AsyncDisposableStack();
  const netns = options.netns ?? undo.use(await makeNetns()).name;
  if (options.netns === undefined) await program('ip', ['-n', netns, 'link', 'set', 'dev', 'lo', 'up']);
  const dir = await mkdtemp(join(tmpdir(), 'ovs-'));
  undo.defer(() => rm(dir, { recursive: true, force: true }));
  await options.prepare?.(dir);
  const socket = join(dir, 'db.sock');
  await program('ovsdb-tool', ['create', join(dir, 'conf.db'), '/usr/share/openvswitch/vswitch.ovsschema']);

  const daemons: { ovsdb?: Daemon; vswitchd?: Daemon } = {};
  const env = { ...process.env, OVS_RUNDIR: dir, OVS_LOGDIR: dir, OVS_DBDIR: dir, LC_ALL: 'C' };
  const daemon = (name: string, ...args: readonly string[]): Daemon =>
    startDaemon(
      'ip',
      ['netns', 'exec', netns, name, ...args, `--unixctl=${dir}/${name}.ctl`, `--log-file=${dir}/${name}.log`, '-vconsole:emer'],
      env,
    );
  const vsctl = (...args: readonly string[]) => program('ovs-vsctl', ['--timeout=10', `--db=unix:${socket}`, ...args]);
  const appctl = (...args: readonly string[]) =>
    program('ovs-appctl', ['--timeout=10', '-t', `${dir}/ovs-vswitchd.ctl`, ...args]);

  const startOvsdb = async () => {
    const more = (options.ovsdbArgs ?? []).map((arg) => arg.replaceAll('DIR', dir));
    daemons.ovsdb = daemon('ovsdb-server', join(dir, 'conf.db'), `--remote=punix:${socket}`, ...more);
    await accepts(socket, daemons.ovsdb, join(dir, 'ovsdb-server.log'));
    await vsctl('--no-wait', 'init');
  };
  const startVswitchd = async () => {
    daemons.vswitchd = daemon('ovs-vswitchd', `unix:${socket}`, '--disable-system');
    await vsctl('init');
  };
  const stopOvsdb = async () => daemons.ovsdb?.stop();
  const stopVswitchd = async () => daemons.vswitchd?.stop();
  undo.defer(stopOvsdb);
  undo.defer(stopVswitchd);
  await startOvsdb();
  await startVswitchd();

  const kept = undo.move();
  return {
    address: `unix:${socket}`,
    dir,
    netns,
    vsctl,
    appctl,
    addBridge: async (name) => {
      await vsctl('add-br', name, '--', 'set', 'Bridge', name, 'datapath_type=netdev', 'fail-mode=standalone');
      await program('ip', ['-n', netns, 'link', 'set', 'dev', name, 'up']);
    },
    reset: async () => {
      const names = (await vsctl('list-br')).split('\n').filter((name) => name !== '');
      if (names.length > 0) await vsctl(...names.flatMap((name) => ['--', 'del-br', name]));
    },
    stop: async () => {
      await stopVswitchd();
      await stopOvsdb();
    },
    start: async () => {
      await startOvsdb();
      await startVswitchd();
    },
    stopVswitchd,
    startVswitchd,
    stopOvsdb,
    startOvsdb,
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
export function whyNoOvs(): string | undefined {
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

async function accepts(socket: string, daemon: Daemon, log: string): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 5) {
    if (await connects(socket)) return;
    if (!daemon.running()) break;
    await sleep(5);
  }
  throw new Error(`ovsdb-server does not listen on ${socket}: ${await readFile(log, 'utf8').catch(() => 'it wrote no log')}`);
}

function connects(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function program(file: string, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(file, args, { timeout: 20_000 });
  if (exitCode !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr.trim() || `exit status ${exitCode}`}`);
  return stdout.trimEnd();
}
