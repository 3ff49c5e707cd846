// The guest as a node of a cluster: Open vSwitch with its kernel datapath, our CNI server and our device plugin as they ship, pods'
// namespaces. The tests stay on this machine and send what a runtime would do.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CniAnswer, CniCall } from '../support/node.ts';
import type { Lab } from './lab.ts';
import { quote } from './shell.ts';

export interface LabNode {
  /** Starts `dist/smartnic` in the guest, as a runtime does. */
  cni(command: string, call: CniCall): Promise<CniAnswer>;
  vsctl(...args: readonly string[]): Promise<string>;
  /** `smartnic-device-plugin ARGS`: its stdout. */
  devicePlugin(...args: readonly string[]): Promise<string>;
  /** A pod's namespace, its loopback up: the path that a runtime would name. */
  pod(name: string): Promise<string>;
  /** What a server has logged. */
  log(server: Server): Promise<string>;
  /** Milliseconds until the server served. */
  readonly startMs: Readonly<Record<Server, number>>;
}

const servers = {
  cni: { command: '/smartnic/dist/smartnic-cni.mjs', ready: 'serving CNI requests' },
  'device-plugin': { command: '/smartnic/dist/smartnic-device-plugin.mjs run', ready: 'the device plugin runs' },
} as const;
export type Server = keyof typeof servers;

/** The node's files, as an admin would write them. */
const files = {
  '/etc/smartnic/config.yaml': 'logLevel: debug\nkubernetes:\n  disabled: true\n',
  '/etc/smartnic/pools.yaml': 'pools:\n  - name: lab\n    vnicType: direct\n    selectors:\n      - vendors: ["8086"]\n',
};

/** Starts everything and waits until it serves. It ends with the guest. */
export async function startLabNode(lab: Lab): Promise<LabNode> {
  await lab.sh(startOvs);
  await lab.sh('mkdir -p /etc/smartnic /var/lib/smartnic /var/lib/kubelet/device-plugins');
  for (const [file, text] of Object.entries(files)) await lab.sh(`cat >${file}`, { input: text });
  const startMs = { cni: await start(lab, 'cni'), 'device-plugin': await start(lab, 'device-plugin') };
  return {
    startMs,
    cni: async (command, { containerId, netns = '', ifname = 'eth0', args = '', env = {}, config }) => {
      const variables = Object.entries({
        CNI_COMMAND: command,
        CNI_CONTAINERID: containerId,
        CNI_NETNS: netns,
        CNI_IFNAME: ifname,
        CNI_PATH: '/usr/lib/cni',
        CNI_ARGS: args,
        ...env,
      }).map(([name, value]) => `${name}=${quote(value)}`);
      const input = typeof config === 'string' ? config : JSON.stringify(config);
      const { exit, stdout, stderr } = await lab.run(`env ${variables.join(' ')} /smartnic/dist/smartnic`, { input });
      return { exit, stdout, stderr, json: stdout === '' ? {} : JSON.parse(stdout) };
    },
    vsctl: async (...args) => await lab.sh(`ovs-vsctl --timeout=30 ${args.map(quote).join(' ')}`),
    devicePlugin: async (...args) => await lab.sh(`/smartnic/dist/smartnic-device-plugin.mjs ${args.map(quote).join(' ')}`),
    pod: async (name) => {
      await lab.sh(`ip netns add ${quote(name)} && ip -n ${quote(name)} link set dev lo up`);
      return `/run/netns/${name}`;
    },
    log: async (server) => await readLog(lab, server),
  };
}

const startOvs = `
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
  const { command, ready } = servers[server];
  await lab.sh(`setsid ${command} </dev/null >/share/${server}.log 2>&1 &`);
  while (!(await readLog(lab, server)).includes(ready)) {
    if (performance.now() - began > 60_000)
      throw new Error(`${command} does not serve in the guest: ${await readLog(lab, server)}`);
    await sleep(50);
  }
  return performance.now() - began;
}

async function readLog(lab: Lab, server: Server): Promise<string> {
  return await readFile(join(lab.share, `${server}.log`), 'utf8').catch(() => '');
}
