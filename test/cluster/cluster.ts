// One real Kubernetes node in private namespaces: etcd, API server, controllers, scheduler, containerd, kubelet, and Multus for who wants it.
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run as runProgram } from '../../tools/program.ts';
import { addresses, nodeName } from './addresses.ts';
import { type Background, startBackground } from './background.ts';
import { kubeletFolder, programsFolder } from './cache.ts';
import { type Component, components, configurations, type Place } from './components.ts';
import { ensurePrograms } from './ensure.ts';
import { ensureImages } from './images.ts';
import { nameCluster, sweepLeftovers } from './leftovers.ts';
import { bootNamespaces, enter, makeCgroups, type Namespaces, removeCgroups } from './namespaces.ts';
import { makePki } from './pki.ts';

export interface Cluster extends AsyncDisposable {
  /** Its folder: `log/`, `podlogs/`, `etc/`, `pki/`, `kubelet/` (/var/lib/kubelet in the node), `disk/`. */
  readonly dir: string;
  readonly place: Place;
  /** Seconds that a pod may need. */
  readonly patience: number;
  /** Runs a program in the node as the cluster's admin; its stdout without the last newline. A non-zero exit is thrown with its words. */
  run(file: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** The same of a bash script. */
  sh(script: string, options?: RunOptions): Promise<string>;
  kubectl(...args: readonly string[]): Promise<string>;
  /** `kubectl get ARGS -o json` */
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API server says
  get(...args: readonly string[]): Promise<any>;
  apply(...objects: readonly object[]): Promise<void>;
  /** Runs a program in the node until it is stopped; its output is in log/NAME.log. */
  background(name: string, command: readonly string[]): Promise<Background>;
  importImage(tar: string): Promise<void>;
  /** Ends a component (kill -9 unless told otherwise) and starts it again. */
  restart(component: Component, signal?: NodeJS.Signals): Promise<void>;
  /** Ends a component, or a program that `background` started. */
  stop(name: string, signal?: NodeJS.Signals): Promise<void>;
  start(component: Component): Promise<void>;
  /** Ends everything at once, as a power loss does, and starts it again. What was written to the disk stays, /run does not. */
  reboot(beforeKubelet?: () => Promise<void>): Promise<void>;
  /** Waits until the node is Ready, or the opposite. */
  nodeReady(ready?: boolean): Promise<void>;
}

interface RunOptions {
  readonly input?: string;
  /** Milliseconds. Default 60 000. */
  readonly timeout?: number;
}

export interface ClusterOptions {
  /** A new folder. Absent: one in /tmp. Removed at the end unless SMARTNIC_KEEP is set. */
  readonly dir?: string;
  /** Prepares the node before kubelet starts: Open vSwitch, the network. At each reboot as well. */
  readonly prepare?: (cluster: Cluster) => Promise<void>;
  /** Folders that stand in the place of one of /sys: `bus+pci` for /sys/bus/pci. */
  readonly sys?: Readonly<Record<string, string>>;
  readonly says?: (text: string) => void;
  /** No kubelet here: the node is another machine, at `addresses.guest`. */
  readonly withoutKubelet?: boolean;
}

const control = ['controller-manager', 'scheduler'] as const;

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { says = () => {}, withoutKubelet = false } = options;
  await ensurePrograms();
  await using undo = new AsyncDisposableStack();
  for (const name of await sweepLeftovers()) says(`removed what a killed cluster left: ${name}`);
  const { folder, cgroup } = nameCluster();
  const dir = options.dir ?? folder;
  if (process.env['SMARTNIC_KEEP'] === undefined)
    undo.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  const path = [programsFolder(), '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'].join(':');
  const address = withoutKubelet ? addresses.guest : addresses.node;
  const place: Place = { dir, cgroup, address, kubelet: join(kubeletFolder(), 'kubelet') };
  await mkdir(dir, { mode: 0o700 });
  await layOut(dir, place, options.sys ?? {});
  says('certificates');
  const tars = await ensureImages();

  const state = { namespaces: undefined as Namespaces | undefined, running: new Map<string, Background>() };
  undo.defer(() => removeCgroups(cgroup));
  undo.defer(async () => await state.namespaces?.kill());
  const command = (...rest: readonly string[]) => {
    if (state.namespaces === undefined) throw new Error('the node is not up');
    return [...enter(dir, state.namespaces.pid, path), ...rest];
  };
  const run: Cluster['run'] = async (file, args, { input, timeout = 60_000 } = {}) => {
    const [program = '', ...rest] = command(file, ...args);
    const stdin = input === undefined ? ({ stdin: 'ignore' } as const) : { input };
    const { failed, stdout, stderr, exitCode } = await runProgram(program, rest, {
      ...stdin,
      seconds: timeout / 1000,
      reject: false,
    });
    if (!failed) return stdout;
    throw new Error(`${file} ${args.join(' ')}: ${stderr || stdout || `exit status ${exitCode}`}`);
  };
  const kubectl: Cluster['kubectl'] = (...args) => run('kubectl', args);
  const background: Cluster['background'] = async (name, words) => {
    const started = await startBackground({ dir, name, command: command(...words), kill: (args) => run('kill', args) });
    state.running.set(name, started);
    return started;
  };
  const start = async (component: Component) => void (await background(component, components[component](place)));
  const stop: Cluster['stop'] = async (name, signal = 'SIGKILL') => await state.running.get(name)?.stop(signal);
  const nodeReady = async (ready = true) => {
    const status = '{.status.conditions[?(@.type=="Ready")].status}{.spec.taints[*].key}';
    await eventually(`node ${ready ? 'Ready' : 'NotReady'}`, 90, async () => {
      const said = await kubectl('get', 'node', nodeName, `-o=jsonpath=${status}`);
      if ((said === 'True') !== ready) throw new Error(`its status is ${said}; ${await kubectl('describe', 'node', nodeName)}`);
    });
  };
  const up = async (first: boolean, beforeKubelet?: () => Promise<void>) => {
    await makeCgroups(cgroup);
    state.namespaces = await bootNamespaces(dir);
    says('namespaces');
    for (const each of ['etcd', 'apiserver', 'containerd'] as const) await start(each);
    if (first) await installCni(cluster);
    await options.prepare?.(cluster);
    await eventually('containerd', 30, () => run('ctr', ['version'], { timeout: 5000 }));
    if (first) for (const tar of tars) await cluster.importImage(tar);
    says('containerd, images');
    await eventually('the API server', 90, () => kubectl('get', '--raw=/readyz'));
    says('API server');
    await beforeKubelet?.();
    for (const each of control) await start(each);
    if (!withoutKubelet) await start('kubelet');
    if (first) {
      await eventually('namespace test', 20, () => kubectl('create', 'namespace', 'test'));
      await eventually('its service account', 30, () => kubectl('-n', 'test', 'get', 'serviceaccount', 'default'));
    }
    if (withoutKubelet) return;
    await eventually('the node', 60, () => kubectl('get', 'node', nodeName));
    says('kubelet');
  };

  const cluster: Cluster = {
    ...{ dir, place, patience: 60, run, kubectl, background, start, stop, nodeReady },
    sh: (script, more) => run('bash', ['-ec', script], more),
    get: async (...args) => JSON.parse(await kubectl('get', ...args, '-o', 'json')),
    apply: async (...objects) => {
      await run('kubectl', ['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) });
    },
    importImage: async (tar) => void (await run('ctr', ['-n', 'k8s.io', 'images', 'import', tar], { timeout: 120_000 })),
    restart: async (component, signal) => {
      await stop(component, signal);
      await start(component);
    },
    reboot: async (beforeKubelet) => {
      await state.namespaces?.kill();
      await removeCgroups(cgroup);
      state.running.clear();
      await up(false, beforeKubelet);
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
  await up(true);
  const kept = undo.move();
  return cluster;
}

async function layOut(dir: string, place: Place, sys: Readonly<Record<string, string>>): Promise<void> {
  for (const name of ['log', 'etc', 'pki', 'kubelet', 'podlogs', 'containerd', 'sys'])
    await mkdir(join(dir, name), { recursive: true });
  await makePki(join(dir, 'pki'));
  for (const [name, text] of Object.entries(configurations(place))) await writeFile(join(dir, 'etc', name), text);
  for (const [name, folder] of Object.entries(sys))
    await runProgram('cp', ['--archive', '--no-target-directory', folder, join(dir, 'sys', name)]);
}

/** The plugins of other makers that a node has; Multus as well, which nothing calls until it is configured. */
async function installCni({ dir }: Pick<Cluster, 'dir'>): Promise<void> {
  const bin = join(dir, 'disk/opt/upper/cni/bin');
  const files = ['bridge', 'host-local', 'static', 'tuning'].map((name) => join('/usr/lib/cni', name));
  for (const file of [...files, join(programsFolder(), 'multus')])
    if (existsSync(file)) await copyFile(file, join(bin, basename(file)));
}

/** Repeats the attempt until it does not throw, because a cluster comes to a state in its own time. When the time is up, it throws the last failure. */
export async function eventually<T>(what: string, seconds: number, attempt: () => Promise<T>): Promise<T> {
  for (const end = performance.now() + seconds * 1000; ; await sleep(100)) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end)
        throw new Error(`not within ${seconds} s: ${what}; ${error instanceof Error ? error.message : error}`);
    }
  }
}
