// The guest with everything that `direct` needs: 21 VFs on three PFs, pools for both drivers, the fake kubelet, the real device plugin and
// CNI server, and a look at all that an attachment may change.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CniAnswer, type CniCall, containerId } from '../support/node.ts';
import { pfs } from './hardware.ts';
import { type LabKubelet, startLabKubelet } from './kubelet.ts';
import { bootLab, type Lab } from './lab.ts';
import { type LabNode, startLabNode } from './node.ts';
import { quote } from './shell.ts';
import { bindVf, type LabVf, makeVfs } from './vfs.ts';

export interface LabPod {
  /** Path of its namespace, whose name is its last part. */
  readonly netns: string;
  readonly netnsName: string;
  /** The VFs that kubelet gave it. */
  readonly vfs: readonly string[];
  readonly call: CniCall;
}

export interface DirectMachine extends AsyncDisposable {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly kubelet: LabKubelet;
  readonly vfs: readonly LabVf[];
  /** Name of the netdev of a PF. */
  pfNetdev(pf: string): Promise<string>;
  /** Admits a pod with one VF of the resource, and makes its namespace. */
  pod(resource: string, config?: object): Promise<LabPod>;
  /** Ends the pod for kubelet, and its namespace where it still is. */
  end(pod: LabPod): Promise<void>;
  /** Everything that an attachment may change, as text. */
  state(): Promise<string>;
  /** Ends the CNI server as a crash would, and starts another one. */
  restartCni(env?: Readonly<Record<string, string>>): Promise<void>;
  /** Runs a command with a server that dies at the step, and starts its successor. */
  killedAt(step: string, command: string, call: CniCall): Promise<CniAnswer>;
}

export const [vfio, kernel] = ['smartnic.io/direct', 'smartnic.io/kernel'] as const;

/** PF 0 and 2 are for vfio-pci, PF 1 is for the netdevs of its VFs. */
const pools = `pools:
  - { name: vfio, vnicType: direct, selectors: [{ rootDevices: ["${pfs[0].address}", "${pfs[2].address}"] }] }
  - { name: kernel, vnicType: direct, driver: kernel, resourceName: kernel, selectors: [{ rootDevices: ["${pfs[1].address}"] }] }
`;

export async function startDirectMachine(): Promise<DirectMachine> {
  await using undo = new AsyncDisposableStack();
  const lab = undo.use(await bootLab());
  const vfs: LabVf[] = [];
  for (const pf of pfs) vfs.push(...(await makeVfs(lab, pf, 7)));
  for (const vf of vfs.filter(({ pf }) => pf === pfs[1].address)) await bindVf(lab, vf, 'igbvf');
  await lab.sh(`
    for vf in /sys/bus/pci/devices/*/physfn; do echo >"$(dirname $vf)/driver_override"; done
    printf '#!/bin/sh\nsleep 1; [ "$CNI_COMMAND" != ADD ] || { echo full >&2; exit 1; }\n' >/usr/lib/cni/refusing
    chmod +x /usr/lib/cni/refusing
    mkdir -p /etc/smartnic/hooks.d
    echo 512 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
    mkdir -p /dev/hugepages && { mountpoint -q /dev/hugepages || mount -t hugetlbfs none /dev/hugepages; }
  `);
  const kubelet = await startLabKubelet(lab);
  const node = await startLabNode(lab);
  await lab.sh('cat >/etc/smartnic/pools.yaml', { input: pools });
  await kubelet.untilOffered(vfio, 14);
  await kubelet.untilOffered(kernel, 7);
  await node.vsctl('--may-exist', 'add-br', 'br0', '--', 'set', 'bridge', 'br0', 'fail_mode=standalone');
  await lab.sh('ip link set dev br0 up');
  let pods = 0;
  let starts = 0;

  const restartCni = async (env: Readonly<Record<string, string>> = {}) => {
    starts += 1;
    const log = `cni-${starts}.log`;
    const variables = Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`);
    await lab.sh(`
      for pid in $(pgrep -f smartnic-cni.mjs); do kill -9 $pid; done
      while pgrep -f smartnic-cni.mjs >/dev/null; do sleep 0.05; done
      setsid env ${variables.join(' ')} /smartnic/dist/smartnic-cni.mjs </dev/null >/share/${log} 2>&1 &
    `);
    for (let tries = 0; ; tries++, await sleep(50)) {
      const text = await readFile(join(lab.share, log), 'utf8').catch(() => '');
      if (text.includes('serving CNI requests')) return;
      if (tries > 1000) throw new Error(`the CNI server does not serve: ${text}`);
    }
  };
  const kept = undo.move();
  return {
    lab,
    node,
    kubelet,
    vfs,
    pfNetdev: async (pf) => await lab.sh(`ls /sys/bus/pci/devices/${pf}/net`),
    pod: async (resource, config = {}) => {
      pods += 1;
      const name = `pod-${pods}`;
      const given = await kubelet.admit(`lab/${name}`, { [resource]: 1 });
      const driver = resource === kernel ? { driver: 'kernel', resource } : {};
      return {
        netns: await node.pod(name),
        netnsName: name,
        vfs: given.flatMap(({ ids }) => ids),
        call: {
          containerId: containerId(),
          netns: `/run/netns/${name}`,
          ifname: 'net1',
          args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
          config: {
            ...{
              cniVersion: '1.1.0',
              name: 'tenant-a',
              type: 'smartnic',
              bridge: 'br0',
              vnicType: 'direct',
              representor: 'none',
            },
            ...driver,
            ...config,
          },
        },
      };
    },
    end: async ({ netnsName }) => {
      await kubelet.remove(`lab/${netnsName}`);
      await lab.sh(`[ ! -e /run/netns/${netnsName} ] || ip netns delete ${netnsName}`);
    },
    state: async () => await lab.sh(look),
    restartCni,
    killedAt: async (step, command, call) => {
      await restartCni({ SMARTNIC_STEP_HOOK: `kill:${step}` });
      const answered = node.cni(command, call);
      await lab
        .sh('for tries in $(seq 400); do pgrep -f smartnic-cni.mjs >/dev/null || exit 0; sleep 0.05; done; exit 1')
        .catch(() => {
          throw new Error(`the server did not die at "${step}" of ${command}`);
        });
      await restartCni();
      return await answered;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** VFs as their PFs tell them, drivers, netdevs, ports of ours, journal, quarantine. With few programs: each costs 20 ms and more in the guest. */
const look = `
  lent=$(ls /sys/bus/netdevsim/devices/netdevsim11/net 2>/dev/null | tr '\\n' '|') # these go with the pods that they were lent to
  ip -details link show | grep -w vf
  grep -v '(null)' /sys/bus/pci/devices/*/driver_override
  ls -d /sys/bus/pci/drivers/{igbvf,vfio-pci}/0000* /sys/bus/pci/devices/*/net/* 2>/dev/null
  grep . /sys/class/net/*/{address,mtu,flags} | grep -v -E "/(\${lent}ovs-system|br0)/"
  ovs-vsctl --bare --columns=name find Interface external_ids:owner=smartnic.io
  ls /var/lib/smartnic/attachments /var/lib/smartnic/quarantine 2>/dev/null || true
`;
