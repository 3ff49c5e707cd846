// A node whose forwarder is Open vSwitch with DPDK: the real device plugin offers slots to the fake kubelet, which gives them to pods, and
// our CNI server plugs them. Sockets lie where they lie on every node, below /run/smartnic, under names that no other test has.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { startPlugin } from '../../device-plugin/plugin.ts';
import { openLog } from '../../host/base/log.ts';
import { socketDirectory } from '../../host/forwarder/forwarder.ts';
import { lastGoodFile } from '../../inventory/config/last-good.ts';
import { socketPlace } from '../../vnic/virtio-forwarder.ts';
import { FakeKubelet } from './fake-kubelet.ts';
import type { TestNetns } from './netns.ts';
import { type CniCall, containerId, type NodeOptions, startNode, type TestNode } from './node.ts';
import { noFacts } from './sysfs-tree.ts';

export interface SlotPod {
  /** `shop/NAME` */
  readonly name: string;
  readonly netns: TestNetns;
  readonly slot: string;
  /** Path on the host of the directory that its container has. */
  readonly directory: string;
  readonly socket: string;
  readonly call: CniCall;
}

export interface SlotNode extends AsyncDisposable {
  readonly node: TestNode;
  readonly kubelet: FakeKubelet;
  /** Admits a pod with a slot, and makes its namespace. `config` is added to its network's. */
  pod(config?: object): Promise<SlotPod>;
  /** Ends a pod for kubelet, and its namespace. */
  end(pod: SlotPod): Promise<void>;
}

const resource = 'smartnic.io/virtio-forwarder';
const slots = 3;

export async function startSlotNode(options: NodeOptions & { readonly server?: boolean } = {}): Promise<SlotNode> {
  await using undo = new AsyncDisposableStack();
  const pool = `test-${randomBytes(4).toString('hex')}`;
  const node = undo.use(
    await startNode({ ...options, ovs: { dpdk: true }, settings: `forwarder: { kind: ovs-dpdk }\nkubeletDir: DIR/kubelet\n` }),
  );
  const kubelet = new FakeKubelet({ directory: join(node.dir, 'kubelet') });
  await kubelet.start();
  undo.defer(() => kubelet.stop());
  mkdirSync(join(node.dir, 'run'), { recursive: true });
  mkdirSync('/run/smartnic', { recursive: true });
  symlinkSync('/run/smartnic', join(node.dir, 'run/smartnic'));
  const file = join(node.dir, 'pools.yaml');
  writeFileSync(
    file,
    `pools: [{ name: ${pool}, vnicType: virtio-forwarder, slots: ${slots}, vhost: { mode: "0750", gid: 107 } }]`,
  );
  undo.defer(() => {
    const ours = Array.from({ length: slots }, (_, at) => socketPlace(`${pool}-${at}`).hostDirectory);
    for (const each of [...ours, lastGoodFile]) rmSync(each, { recursive: true, force: true });
    for (const each of [dirname(lastGoodFile), socketDirectory, '/run/smartnic']) removeIfEmpty(each);
  });
  const plugin = await startPlugin({
    ...{ host: { root: node.dir, log: openLog('silent') }, ask: async () => noFacts, config: { file } },
    inventory: { events: [] },
    kubelet: { kubeletDir: '/kubelet', timing: { reconcile: 50, grace: 0 } },
  });
  undo.defer(() => plugin.stop());
  await kubelet.untilOffered(resource, slots);
  const kept = undo.move();
  let pods = 0;
  return {
    node,
    kubelet,
    pod: async (config = {}) => {
      const name = `pod-${pods++}`;
      const [given] = await kubelet.admit({ name: `shop/${name}`, containers: { main: { [resource]: 1 } } });
      const slot = given?.ids[0] ?? '';
      const netns = kept.use(await node.pod());
      return {
        ...{ name: `shop/${name}`, netns, slot, directory: socketPlace(slot).hostDirectory, socket: socketPlace(slot).hostPath },
        call: {
          ...{ containerId: containerId(), netns: netns.path, ifname: 'net1' },
          // The fake kubelet notes a pod by its name where kubelet notes its UID.
          args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name};K8S_POD_UID=shop/${name}`,
          config: {
            ...{ cniVersion: '1.1.0', name: 'tenant-a', type: 'smartnic', bridge: 'br0', vnicType: 'virtio-forwarder' },
            ...config,
          },
        },
      };
    },
    end: async ({ name, netns }) => {
      kubelet.remove(name);
      await netns[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Others may have theirs in it. */
function removeIfEmpty(directory: string): void {
  try {
    if (existsSync(directory)) rmdirSync(directory);
  } catch {
    // It is not empty.
  }
}
