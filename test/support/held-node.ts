// A node with VFs whose drivers do not let go of them: the kernel holds whoever writes to their `unbind`. Each VF is an attachment's.
import { readFileSync, rmSync } from 'node:fs';
import { type Attachment, attachmentId, bridgePortName } from '../../cni/attachment/attachment.ts';
import { openJournal } from '../../cni/attachment/journal.ts';
import { takeOwnership } from '../../cni/attachment/owner.ts';
import { makeLock } from '../../host/base/lock.ts';
import { run } from '../../tools/program.ts';
import { startHeldFiles } from './held-files.ts';
import { igb } from './nic-trees.ts';
import { type CniAnswer, containerId, startNode, type TestNode } from './node.ts';
import { makeTree, type TreeVf } from './sysfs-tree.ts';

export interface HeldNode extends AsyncDisposable {
  /** No server runs yet. */
  readonly node: TestNode;
  readonly attachments: readonly Attachment[];
  del(attachment: Attachment): Promise<CniAnswer>;
  /** How many processes of ours the kernel holds. */
  errands(): Promise<number>;
  /** The VFs go, and the kernel lets everybody go. */
  release(): Promise<void>;
}

export async function startHeldNode(count: number): Promise<HeldNode> {
  await using undo = new AsyncDisposableStack();
  const pf = igb({ vfs: count });
  const vfs = (pf.vfs ?? []).map((vf) => ({ ...vf, driver: 'stubborn' }));
  const tree = undo.adopt(makeTree({ ...pf, vfs }), (made) => made[Symbol.dispose]());
  const files = undo.use(startHeldFiles());
  tree.link('/sys/bus/pci/drivers/stubborn/unbind', files.file);
  tree.write('/sys/bus/pci/drivers/igbvf/unbind', '');
  for (const { address } of vfs) {
    tree.write(`/sys/bus/pci/devices/${address}/driver_override`, '(null)');
    tree.link(`/sys/bus/pci/devices/${address}/driver`, '../../drivers/stubborn');
  }
  const node = undo.use(await startNode({ server: false, shippedAs: { pci: `${tree.root}/sys/bus/pci` } }));
  undo.defer(() => {
    for (const { address } of vfs) rmSync(`/run/smartnic/errands/${address}`, { force: true });
  });
  const attachments = vfs.map((vf) => plugged(node, vf));
  const journal = await openJournal(node.stateDir);
  for (const attachment of attachments) {
    await journal.begin(attachment);
    journal.append(attachment.id, { phase: 'added', result: { interfaces: [], ips: [], routes: [], dns: {} } });
    const owners = { settings: { stateDir: node.stateDir }, lock: makeLock(), host: tree.host } as never;
    await takeOwnership(owners, attachment.reserved?.id ?? '', { attachment: attachment.id, expected: undefined });
  }
  const kept = undo.move();
  return {
    node,
    attachments,
    del: async ({ containerId: container, ifname, network }) => {
      const config = { cniVersion: '1.1.0', name: network, type: 'smartnic', bridge: 'br0', vnicType: 'direct' };
      return await node.cni('DEL', { containerId: container, ifname, config });
    },
    errands: async () => {
      const { stdout } = await run('pgrep', ['--count', '--full', `smartnic-errand .*/drivers/stubborn/unbind`], {
        reject: false,
      });
      return Number(stdout);
    },
    release: async () => {
      for (const { address } of vfs) tree.remove(`/sys/bus/pci/devices/${address}`);
      await files.release();
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function plugged(node: TestNode, { address }: TreeVf): Attachment {
  const key = { network: 'held', containerId: containerId(), ifname: 'net1' };
  const id = attachmentId(key);
  return {
    ...key,
    ...{ id, bridgePort: bridgePortName(id), vnicType: 'direct', ovsdb: node.ovs.address, bridge: 'br0', netns: '', pod: {} },
    reserved: {
      ...{ kind: 'vf', id: address, pf: '0000:41:00.0', index: 0, driver: 'vfio-pci', settings: {}, generation: 1 },
      before: { binding: { driver: 'igbvf' }, settings: {} },
    },
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    since: new Date().toISOString(),
    began: 0,
  };
}
