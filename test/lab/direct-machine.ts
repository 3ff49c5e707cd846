// The guest with everything that `direct` needs: 21 VFs on three PFs, pools for both drivers, the fake kubelet, the real device plugin and
// CNI server, and a look at all that an attachment may change. One for all test files.
import { type CniCall, containerId } from '../support/node.ts';
import { LabUnavailable } from './ensure.ts';
import { groupedPf, pfs } from './hardware.ts';
import { type Given, type LabKubelet, startLabKubelet } from './kubelet.ts';
import { bootLab, type Lab } from './lab.ts';
import { type LabNode, startLabNode } from './node.ts';
import { bindVfs, type LabVf, makeVfs } from './vfs.ts';

export interface LabPod {
  /** Path of its namespace, whose name is its last part. */
  readonly netns: string;
  readonly netnsName: string;
  /** The VFs that kubelet gave it, and all that came with them. */
  readonly vfs: readonly string[];
  readonly given: readonly Given[];
  readonly call: CniCall;
}

export interface DirectMachine extends AsyncDisposable {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly kubelet: LabKubelet;
  /** Those of `pfs`. */
  readonly vfs: readonly LabVf[];
  /** Name of the netdev of a PF that has no switch. */
  pfNetdev(pf: string): Promise<string>;
  /** Admits a pod with one VF of each resource, and makes its namespace. Its network is for the first one. */
  pod(resources: string | readonly string[], config?: object): Promise<LabPod>;
  /** Ends the pod for kubelet, and its namespace where it still is. */
  end(pod: LabPod): Promise<void>;
  /** Everything that an attachment may change, as text. */
  state(): Promise<string>;
}

/** `vfio`: 14 VFs on PF 0, without a driver, and on PF 2, bound to igbvf. `kernel`: seven on PF 1, bound to igbvf. */
export const [vfio, kernel] = ['smartnic.io/direct', 'smartnic.io/kernel'] as const;
/** The same VFs as `vfio`, from the other end of the list. */
export const virtio = 'smartnic.io/virtio-forwarder';
/** One VF, which is not alone in its IOMMU group. */
export const grouped = 'smartnic.io/grouped';

const pools = `pools:
  - { name: vfio, vnicType: [direct, virtio-forwarder], selectors: [{ rootDevices: ["${pfs[0].address}", "${pfs[2].address}"] }] }
  - { name: kernel, vnicType: direct, driver: kernel, resourceName: kernel, selectors: [{ rootDevices: ["${pfs[1].address}"] }] }
  - { name: grouped, vnicType: direct, resourceName: grouped, selectors: [{ rootDevices: ["${groupedPf.address}"] }] }
`;

let shared: Promise<DirectMachine> | undefined;

/** For a suite's `before`: the machine that all test files of a run share. Skips the suite where the lab's packages can't be had. */
export async function sharedDirectMachine(this: Mocha.Context): Promise<DirectMachine> {
  try {
    shared ??= startDirectMachine();
    return await shared;
  } catch (error) {
    if (!(error instanceof LabUnavailable)) throw error;
    console.log(`skipped: ${error.message}`);
    return this.skip();
  }
}

/** For a root `after` of every file that uses the shared machine: each run of mocha ends with the last of them. */
export async function endSharedMachine(): Promise<void> {
  const ended = shared;
  shared = undefined;
  await (await ended?.catch(() => undefined))?.[Symbol.asyncDispose]();
}

export async function startDirectMachine(): Promise<DirectMachine> {
  await using undo = new AsyncDisposableStack();
  const began = performance.now();
  const lab = undo.use(await bootLab());
  const [vfs, kubelet] = await Promise.all([makeAllVfs(lab), startLabKubelet(lab), lab.sh(prepare, { input: refusing })]);
  const node = await startLabNode(lab, { pools });
  await kubelet.untilOffered(vfio, 14);
  await kubelet.untilOffered(kernel, 7);
  await node.vsctl('--may-exist', 'add-br', 'br0', '--', 'set', 'bridge', 'br0', 'fail_mode=standalone');
  await lab.sh('ip link set dev br0 up');
  const seconds = Object.entries({ guest: lab.bootMs, ...node.startMs, all: performance.now() - began }).map(
    ([name, ms]) => `${name} ${(ms / 1000).toFixed(1)} s`,
  );
  console.log(`      up: ${seconds.join(', ')}`);
  let pods = 0;
  const kept = undo.move();
  return {
    lab,
    node,
    kubelet,
    vfs,
    pfNetdev: async (pf) => await lab.sh(`ls /sys/bus/pci/devices/${pf}/net`),
    pod: async (resources, config = {}) => {
      const [resource = ''] = [resources].flat();
      pods += 1;
      const name = `pod-${pods}`;
      const limits = Object.fromEntries([resources].flat().map((each) => [each, 1]));
      const [given] = await Promise.all([kubelet.admit(`lab/${name}`, limits), node.pod(name)]);
      const driver = resource === kernel ? { driver: 'kernel' } : {};
      return {
        netns: `/run/netns/${name}`,
        netnsName: name,
        vfs: given.flatMap(({ ids }) => ids),
        given,
        call: {
          containerId: containerId(),
          netns: `/run/netns/${name}`,
          ifname: 'net1',
          // The fake kubelet notes a pod by its name where kubelet notes its UID.
          args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=${name};K8S_POD_UID=lab/${name}`,
          config: {
            ...{
              cniVersion: '1.1.0',
              name: 'tenant-a',
              type: 'smartnic',
              bridge: 'br0',
              vnicType: resource === virtio ? 'virtio-forwarder' : 'direct',
              resource,
            },
            representor: 'none',
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
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function makeAllVfs(lab: Lab): Promise<readonly LabVf[]> {
  const vfs: LabVf[] = [];
  for (const pf of pfs) vfs.push(...(await makeVfs(lab, pf, 7)));
  await makeVfs(lab, groupedPf, 1);
  await bindVfs(
    lab,
    vfs.filter(({ pf }) => pf !== pfs[0].address),
    'igbvf',
  );
  return vfs;
}

const prepare = `
  cat >/usr/lib/cni/refusing
  chmod +x /usr/lib/cni/refusing
  mkdir -p /etc/smartnic/hooks.d
  echo 512 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
`;

/** An IPAM plugin. */
const refusing = `#!/bin/sh
[ "$CNI_COMMAND" != ADD ] || { sleep 1; echo full >&2; exit 1; }
`;

/** VFs as their PFs tell them, drivers, netdevs, ports of ours, journal, quarantine. With few programs: each costs 20 ms and more in the guest. */
const look = `
  lent=$(ls /sys/bus/netdevsim/devices/netdevsim10/net 2>/dev/null | tr '\\n' '|') # these go with the pods that they were lent to
  ip -details link show | grep -w vf
  grep -v '(null)' /sys/bus/pci/devices/*/driver_override
  ls -d /sys/bus/pci/drivers/{igbvf,vfio-pci}/0000* /sys/bus/pci/devices/*/net/* 2>/dev/null
  grep . /sys/class/net/*/{address,mtu,flags} | grep -v -E "/(\${lent}ovs-system|br0)/"
  ovs-vsctl --bare --columns=name find Interface external_ids:owner=smartnic.io
  find /var/lib/smartnic/attachments /var/lib/smartnic/quarantine /run/k8s.cni.cncf.io/devinfo/cni -type f 2>/dev/null || true
`;
