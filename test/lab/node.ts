// The guest as a node of a cluster: Open vSwitch with its kernel datapath, our CNI server and our device plugin as they ship, pods'
// namespaces. The tests stay on this machine and send what a runtime would do.
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CniAnswer, CniCall } from '../support/node.ts';
import type { Lab } from './lab.ts';
import { quote } from './shell.ts';

export interface LabNode {
  /** Starts `dist/smartnic` in the guest, as a runtime does. */
  cni(command: string, call: CniCall): Promise<CniAnswer>;
  vsctl(...args: readonly string[]): Promise<string>;
  /** `smartnic ARGS`, the commands for a person: its stdout. */
  smartnic(...args: readonly string[]): Promise<string>;
  /** A pod's namespace, its loopback up: the path that a runtime would name. */
  pod(name: string): Promise<string>;
  /** What a server has logged since the guest is up. */
  log(server: Server): Promise<string>;
  /** Kills the server (SIGKILL) and waits until a new one serves. Until the next `restart` it has these additional variables. */
  restart(server: Server, env?: Readonly<Record<string, string>>): Promise<void>;
  /** Runs `work`, in which the CNI server dies at that step, and waits until the next one serves. @throws when it does not die. */
  killedAt<T>(step: string, work: () => Promise<T>): Promise<T>;
  /** Milliseconds until the server served. */
  readonly startMs: Readonly<Record<Server, number>>;
}

/** The CNI server dies once, at the step that stands in this file of the shared folder, as on a power loss. */
const killAt = 'kill-at';

/** There are two CNI servers, as in an upgrade: one stands by. Loading it takes seconds here, and tests kill it a hundred times. */
const servers = {
  cni: {
    command: '/smartnic/dist/smartnic-cni.mjs',
    ready: 'serving CNI requests',
    env: { SMARTNIC_STEP_HOOK: `kill-once:/share/${killAt}`, SMARTNIC_STANDBY: 'true' },
    processes: 2,
  },
  'device-plugin': {
    ...{ command: '/smartnic/dist/smartnic-device-plugin.mjs run', ready: 'the device plugin runs' },
    ...{ env: {}, processes: 1 },
  },
} as const;
export type Server = keyof typeof servers;

/** The node's files, as an admin would write them. */
const config = 'logLevel: debug\nkubernetes:\n  disabled: true\n';
const onePool = 'pools:\n  - name: lab\n    vnicType: direct\n    selectors:\n      - vendors: ["8086"]\n';

/**
 * Starts everything and waits until it serves. It ends with the guest. A server that ends is started again at once, as kubelet does with
 * a container.
 */
export async function startLabNode(lab: Lab, { pools = onePool } = {}): Promise<LabNode> {
  await lab.sh(startOvs);
  await lab.sh('mkdir -p /etc/smartnic /var/lib/smartnic /var/lib/kubelet/device-plugins');
  await lab.sh('cat >/etc/smartnic/config.yaml', { input: config });
  await lab.sh('cat >/etc/smartnic/pools.yaml', { input: pools });
  for (const server of ['cni', 'device-plugin'] as const) await setEnvironment(lab, server, {});
  const [cni, devicePlugin] = await Promise.all([start(lab, 'cni'), start(lab, 'device-plugin')]);
  const startMs = { cni, 'device-plugin': devicePlugin };
  const starts: Record<Server, number> = { cni: 1, 'device-plugin': 1 };
  const untilNext = async (server: Server, work: () => Promise<unknown>) => {
    starts[server] += 1;
    await work();
    await untilServing(lab, server, starts[server]);
  };
  return {
    startMs,
    cni: async (command, { containerId, netns = '', ifname = 'eth0', args = '', env = {}, config }) => {
      const told = variables({
        ...{ CNI_COMMAND: command, CNI_CONTAINERID: containerId, CNI_NETNS: netns, CNI_IFNAME: ifname },
        ...{ CNI_PATH: '/usr/lib/cni', CNI_ARGS: args, ...env },
      });
      const input = typeof config === 'string' ? config : JSON.stringify(config);
      const { exit, stdout, stderr } = await lab.run(`env ${told.join(' ')} /smartnic/dist/smartnic`, { input });
      return { exit, stdout, stderr, json: stdout === '' ? {} : JSON.parse(stdout) };
    },
    vsctl: async (...args) => await lab.sh(`ovs-vsctl --timeout=30 ${args.map(quote).join(' ')}`),
    smartnic: async (...args) => await lab.sh(`/smartnic/dist/smartnic.mjs ${args.map(quote).join(' ')}`),
    pod: async (name) => {
      await lab.sh(`ip netns add ${quote(name)} && ip -n ${quote(name)} link set dev lo up`);
      return `/run/netns/${name}`;
    },
    log: async (server) => await readLog(lab, server),
    restart: async (server, env = {}) => {
      await setEnvironment(lab, server, env);
      await untilNext(server, async () => await lab.sh(`pkill -KILL -f '^node .*${servers[server].command}'`));
    },
    killedAt: async (step, work) => {
      const order = join(lab.share, killAt);
      await writeFile(order, step);
      let answer: Awaited<ReturnType<typeof work>> | undefined;
      await untilNext('cni', async () => {
        answer = await work();
        if (!existsSync(order)) return;
        await rm(order);
        throw new Error(`the CNI server did not die at "${step}"`);
      });
      return answer as Awaited<ReturnType<typeof work>>;
    },
  };
}

export const startOvs = `
  set -e
  modprobe openvswitch
  ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
  ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile --detach --log-file --no-chdir
  ovs-vsctl --no-wait init
  ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --log-file --no-chdir
`;

/** Its log goes to the shared folder, where both sides can read it. */
async function start(lab: Lab, server: Server): Promise<number> {
  const began = performance.now();
  const { command, processes } = servers[server];
  const again = `while :; do (. /share/${server}.env; exec ${command}); done`;
  const loop = `setsid sh -c ${quote(again)} </dev/null >>/share/${server}.log 2>&1 &`;
  await lab.sh(Array(processes).fill(loop).join('\n'));
  await untilServing(lab, server, 1);
  return performance.now() - began;
}

/** Seconds. Node and our server start in 4 s there, and in more than 60 on a machine that does eight times what it can. */
const startLimit = 240;

/** Waits until it has begun to serve for the `starts`th time. The first sweep of a CNI server is over then as well. */
async function untilServing(lab: Lab, server: Server, starts: number): Promise<void> {
  for (const end = performance.now() + startLimit * 1000; ; await sleep(50)) {
    const said = await readLog(lab, server);
    const since = said.split(servers[server].ready)[starts];
    if (since !== undefined && (server !== 'cni' || since.includes('"msg":"swept"'))) return;
    if (performance.now() > end) throw new Error(`${servers[server].command} does not serve in the guest: ${said.slice(-2000)}`);
  }
}

async function setEnvironment(lab: Lab, server: Server, more: Readonly<Record<string, string>>): Promise<void> {
  const lines = variables({ ...servers[server].env, ...more }).map((each) => `export ${each}\n`);
  await writeFile(join(lab.share, `${server}.env`), lines.join(''));
}

function variables(env: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`);
}

async function readLog(lab: Lab, server: Server): Promise<string> {
  return await readFile(join(lab.share, `${server}.log`), 'utf8').catch(() => '');
}
