// A node for machine tests: a real Open vSwitch and our CNI server in one private network namespace, the executable that a runtime
// would start, and pods' namespaces. Everything ends with it.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseSettings } from '../../cni/attachment/settings.ts';
import { repair } from '../../operator/repair.ts';
import { run, start } from '../../tools/program.ts';
import { asShipped, type Shipped } from './as-shipped.ts';
import { makeNetns, type TestNetns } from './netns.ts';
import { type Ovs, type OvsOptions, startOvs } from './ovs.ts';
import { until } from './until.ts';

const top = join(import.meta.dirname, '../..');
export const ipamDirectory = '/usr/lib/cni';

export interface CniCall {
  readonly containerId: string;
  readonly ifname?: string;
  /** Path; empty for a DEL whose namespace is gone. */
  readonly netns?: string;
  /** The network configuration; a string is sent as it is. */
  readonly config: object | string;
  readonly args?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CniAnswer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as JSON; an empty object when there is none. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into results of five versions
  readonly json: any;
}

export interface TestNode extends AsyncDisposable {
  readonly ovs: Ovs;
  readonly dir: string;
  readonly stateDir: string;
  readonly socket: string;
  /** A pod's namespace with its loopback up. */
  pod(): Promise<TestNetns>;
  cni(command: string, call: CniCall): Promise<CniAnswer>;
  startServer(env?: Readonly<Record<string, string>>): Promise<TestServer>;
  readonly server: TestServer;
  /** A sweep, now; what it says for a person. */
  sweep(): Promise<string>;
  /** Names of the attachments in the journal. */
  journal(): Promise<readonly string[]>;
  /** What is left of us on the node: OVS ports, links, journal entries, IPAM leases. */
  leftovers(): Promise<readonly string[]>;
  log(): Promise<string>;
}

export interface TestServer {
  readonly pid: number;
  /** SIGTERM and the exit status, or undefined when it was killed. */
  stop(signal?: NodeJS.Signals): Promise<number | undefined>;
  /** Resolves when it is gone by itself. */
  readonly gone: Promise<void>;
  /** Resolves when its first sweep is over, which it begins when it serves. */
  swept(seconds?: number): Promise<void>;
}

export interface NodeOptions {
  /** Open vSwitch's. */
  readonly ovs?: OvsOptions;
  /** More lines of the node's configuration; `DIR` stands for its directory. */
  readonly settings?: string;
  /** Default: debug. */
  readonly logLevel?: string;
  /** Start the source in this folder. Default: what ships, in dist/, which starts in a third of the time; for a report of coverage the source here. */
  readonly source?: string;
  /** What the server may do. Default: what deploy/base lets it do. */
  readonly shippedAs?: Omit<Shipped, 'writable'>;
  readonly env?: Readonly<Record<string, string>>;
}

/** With bridge br0 and, unless `server: false`, a server that answers. */
export async function startNode(options: NodeOptions & { readonly server?: boolean } = {}): Promise<TestNode> {
  await using undo = new AsyncDisposableStack();
  const ovs = undo.use(await startOvs(options.ovs));
  await ovs.addBridge('br0');
  const dir = await mkdtemp(join(tmpdir(), 'sn-'));
  undo.defer(() => rm(dir, { recursive: true, force: true }));
  const [socket, stateDir, settings, logFile] = [
    join(dir, 'run/cni.sock'),
    join(dir, 'state'),
    join(dir, 'config.yaml'),
    join(dir, 'log'),
  ];
  await writeFile(
    settings,
    `ovsdb: ${ovs.address}\nlogLevel: ${options.logLevel ?? 'debug'}\n${(options.settings ?? '').replaceAll('DIR', dir)}`,
  );
  await mkdir(join(dir, 'ipam'));
  const confined = asShipped({
    writable: [dir, dirname(ovs.address.replace('unix:', ''))],
    ...options.shippedAs,
  });
  const running = new Set<TestServer>();
  undo.defer(async () => {
    for (const each of running) await each.stop('SIGKILL');
  });

  const startServer = async (env: Readonly<Record<string, string>> = {}): Promise<TestServer> => {
    const source = options.source ?? (process.env['NODE_V8_COVERAGE'] === undefined ? undefined : top);
    const command = source === undefined ? [join(top, 'dist/smartnic-cni.mjs')] : [process.execPath, join(source, 'cni/main.ts')];
    const variables = {
      SMARTNIC_CONFIG: settings,
      SMARTNIC_SOCKET: socket,
      SMARTNIC_STATE_DIR: stateDir,
      ...options.env,
      ...env,
      PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
    };
    const child = start('ip', ['netns', 'exec', ovs.netns, ...confined, ...command], {
      env: variables,
      reject: false,
      stdio: ['ignore', 'ignore', 'pipe'],
      buffer: false,
      cleanup: true,
      // As kubelet does after the grace period.
      forceKillAfterDelay: 30_000,
    });
    const lines: string[] = [];
    child.stderr.on('data', (chunk: Buffer) => {
      lines.push(chunk.toString());
      void writeFile(logFile, chunk, { flag: 'a' });
    });
    let ended = false;
    const gone = child.then(() => {
      ended = true;
      running.delete(server);
    });
    const server: TestServer = {
      pid: child.pid ?? -1,
      gone,
      swept: (limit) => until(async () => lines.join('').includes('"msg":"swept"'), 'the first sweep is over', limit),
      stop: async (signal = 'SIGTERM') => {
        child.kill(signal);
        return (await child).exitCode;
      },
    };
    running.add(server);
    for (let tries = 0; !lines.join('').includes('serving CNI requests'); tries++) {
      if (ended || tries > 3000) throw new Error(`the server does not serve: ${lines.join('')}`);
      await sleep(10);
    }
    return server;
  };
  const state = { server: options.server === false ? undefined : await startServer() };

  const cni = async (command: string, call: CniCall): Promise<CniAnswer> => {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: call.containerId,
      CNI_NETNS: call.netns ?? '',
      CNI_IFNAME: call.ifname ?? 'eth0',
      CNI_PATH: `${join(dir, 'ipam')}:${ipamDirectory}`,
      CNI_ARGS: call.args ?? '',
      SMARTNIC_SOCKET: socket,
      ...call.env,
    };
    const input = typeof call.config === 'string' ? call.config : JSON.stringify(call.config);
    const { exitCode, stdout, stderr } = await run(join(top, 'dist/smartnic'), [], {
      env,
      extendEnv: false,
      input,
      reject: false,
    });
    return { exit: exitCode ?? -1, stdout, stderr, json: stdout === '' ? {} : JSON.parse(stdout) };
  };

  const journal = async () => await readdir(join(stateDir, 'attachments')).catch(() => []);
  const kept = undo.move();
  return {
    ovs,
    dir,
    stateDir,
    socket,
    startServer: async (env) => {
      state.server = await startServer(env);
      return state.server;
    },
    get server() {
      if (state.server === undefined) throw new Error('no server was started');
      return state.server;
    },
    pod: async () => {
      const pod = await makeNetns();
      await run('ip', ['-n', pod.name, 'link', 'set', 'dev', 'lo', 'up']);
      return pod;
    },
    cni,
    sweep: async () => await repair({ ...parseSettings('', 'f'), nodeName: 'n', socket }, false),
    journal,
    leftovers: async () => {
      const ports = (await ovs.vsctl('--bare', '--columns=name', 'find', 'Interface', 'external_ids:owner=smartnic.io')).split(
        '\n',
      );
      const { stdout } = await run('ip', ['-n', ovs.netns, '-json', 'link', 'show', 'type', 'veth']);
      const links = (JSON.parse(stdout || '[]') as { ifname?: string }[]).flatMap(({ ifname }) =>
        ifname?.startsWith('sn') ? [ifname] : [],
      );
      const leases = join(dir, 'leases');
      const networks = existsSync(leases) ? await readdir(leases, { recursive: true }) : [];
      return [
        ...ports.filter((name) => name !== '').map((name) => `port ${name}`),
        ...links.map((name) => `link ${name}`),
        ...(await journal()).map((name) => `journal ${name}`),
        ...networks.filter((name) => /\/[0-9a-f.:]+$/.test(name)).map((name) => `lease ${name}`),
      ];
    },
    log: async () => await readFile(logFile, 'utf8').catch(() => ''),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A container id that no other test has. */
export function containerId(): string {
  return randomBytes(32).toString('hex');
}

/** A network with host-local addresses from `10.<n>.0.0/16` and, in dual stack, `fd00:<n>::/64`, kept below the node's directory. */
export function network(node: Pick<TestNode, 'dir'>, more: object = {}, subnets: readonly string[] = ['10.77.0.0/16']): object {
  return {
    cniVersion: '1.0.0',
    name: 'tenant-a',
    type: 'smartnic',
    bridge: 'br0',
    ipam: { type: 'host-local', dataDir: join(node.dir, 'leases'), ranges: subnets.map((subnet) => [{ subnet }]) },
    ...more,
  };
}
