// A private ovsdb-server with an Open_vSwitch database, its socket and log in a temporary directory. ovs.ts adds ovs-vswitchd.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../host/program/run.ts';
import { type Daemon, startDaemon } from './daemon.ts';

export interface OvsdbServer extends AsyncDisposable {
  /** `unix:PATH`. */
  readonly address: string;
  /** Socket, database and logs; short, since a socket's path has at most 107 bytes. */
  readonly dir: string;
  /** `ovs-vsctl ARGS`, its output without the last newline; a non-zero exit is thrown with its words. */
  vsctl(...args: readonly string[]): Promise<string>;
  /** Starts an OVS daemon beside it, in the same namespace and directory. */
  daemon(name: string, ...args: readonly string[]): Daemon;
  /** The port that the kernel chose for a remote `ptcp:0:…` or `pssl:0:…`. */
  port(): Promise<number>;
  /** The database stays. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Hangs, with all its connections open; and goes on. */
  pause(): void;
  resume(): void;
}

export interface OvsdbServerOptions {
  /** Name of the network namespace to run in; absent: our own. */
  readonly netns?: string;
  /** More arguments; `DIR` stands for the directory. */
  readonly args?: readonly string[];
  /** Fills the directory (certificates) before it starts. */
  readonly prepare?: (dir: string) => Promise<void>;
}

/** Starts one and waits until it answers. Disposing ends it and removes the directory. */
export async function startOvsdbServer(options: OvsdbServerOptions = {}): Promise<OvsdbServer> {
  await using undo = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), 'ovs-'));
  undo.defer(() => rm(dir, { recursive: true, force: true }));
  await options.prepare?.(dir);
  const socket = join(dir, 'db.sock');
  const log = join(dir, 'ovsdb-server.log');
  await program('ovsdb-tool', ['create', join(dir, 'conf.db'), '/usr/share/openvswitch/vswitch.ovsschema']);

  const env = { ...process.env, OVS_RUNDIR: dir, OVS_LOGDIR: dir, OVS_DBDIR: dir, LC_ALL: 'C' };
  const inside = options.netns === undefined ? [] : ['ip', 'netns', 'exec', options.netns];
  const filesOf = (title: string) => [`--unixctl=${dir}/${title}.ctl`, `--log-file=${dir}/${title}.log`];
  const daemon = (name: string, ...args: readonly string[]) => {
    const [file = name, ...rest] = [...inside, name, ...args, ...filesOf(basename(name))];
    return startDaemon(file, [...rest, '-vconsole:off'], env);
  };
  const vsctl = (...args: readonly string[]) => program('ovs-vsctl', ['--timeout=10', `--db=unix:${socket}`, ...args]);

  let server: Daemon | undefined;
  const start = async () => {
    const more = (options.args ?? []).map((arg) => arg.replaceAll('DIR', dir));
    server = daemon('ovsdb-server', join(dir, 'conf.db'), `--remote=punix:${socket}`, ...more);
    await accepts(socket, server, log);
    await vsctl('--no-wait', 'init');
  };
  const stop = async () => server?.stop();
  undo.defer(stop);
  await start();

  const kept = undo.move();
  return {
    address: `unix:${socket}`,
    dir,
    vsctl,
    daemon,
    port: async () => {
      const [, digits] = /\|0:\S+ listening on port (\d+)/.exec(await readFile(log, 'utf8')) ?? [];
      if (digits === undefined) throw new Error(`${log} names no port: ${await readFile(log, 'utf8')}`);
      return Number(digits);
    },
    stop,
    start,
    pause: () => server?.signal('SIGSTOP'),
    resume: () => server?.signal('SIGCONT'),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A program's output without the last newline; a non-zero exit is thrown with its words. */
export async function program(file: string, args: readonly string[], input = ''): Promise<string> {
  const { exitCode, stdout, stderr } = await run(file, args, { timeout: 30_000, input });
  if (exitCode !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr.trim() || `exit status ${exitCode}`}`);
  return stdout.trimEnd();
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
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
