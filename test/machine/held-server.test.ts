// The CNI server as it ships, while the drivers of ten VFs do not let go of them: what other pods notice, how the server ends, and what its
// successor does.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Attachment, attachmentId, bridgePortName } from '../../cni/attachment/attachment.ts';
import { openJournal } from '../../cni/attachment/journal.ts';
import { takeOwnership } from '../../cni/attachment/owner.ts';
import { makeLock } from '../../host/base/lock.ts';
import { run } from '../../tools/program.ts';
import { type HeldFiles, skipWithoutFuse, startHeldFiles } from '../support/held-files.ts';
import { igb } from '../support/nic-trees.ts';
import { containerId, startNode, type TestNode } from '../support/node.ts';
import { makeTree, type Tree, type TreeVf } from '../support/sysfs-tree.ts';
import { until } from '../support/until.ts';

const [many, rounds] = [10, 60];

describe('the CNI server while VFs are held', function () {
  this.timeout(240_000);
  const kept = new AsyncDisposableStack();
  let tree: Tree;
  let files: HeldFiles;
  let node: TestNode;
  let vfs: readonly TreeVf[];
  let attachments: readonly Attachment[];

  before(async function () {
    skipWithoutFuse.call(this);
    const pf = igb({ vfs: many });
    vfs = (pf.vfs ?? []).map((vf) => ({ ...vf, driver: 'stubborn' }));
    tree = kept.adopt(makeTree({ ...pf, vfs }), (made) => made[Symbol.dispose]());
    files = kept.use(startHeldFiles());
    tree.link('/sys/bus/pci/drivers/stubborn/unbind', files.file);
    tree.write('/sys/bus/pci/drivers/igbvf/unbind', '');
    for (const { address } of vfs) {
      tree.write(`/sys/bus/pci/devices/${address}/driver_override`, '(null)');
      tree.link(`/sys/bus/pci/devices/${address}/driver`, '../../drivers/stubborn');
    }
    node = kept.use(await startNode({ server: false, shippedAs: { pci: `${tree.root}/sys/bus/pci` } }));
    kept.defer(() => {
      for (const { address } of vfs) rmSync(`/run/smartnic/errands/${address}`, { force: true });
    });
    attachments = vfs.map((vf) => plugged(node, vf));
    const journal = await openJournal(node.stateDir);
    for (const attachment of attachments) {
      await journal.begin(attachment);
      journal.append(attachment.id, { phase: 'added', result: { interfaces: [], ips: [], routes: [], dns: {} } });
      const owners = { settings: { stateDir: node.stateDir }, lock: makeLock(), host: tree.host } as never;
      await takeOwnership(owners, attachment.reserved?.id ?? '', { attachment: attachment.id, expected: undefined });
    }
    await node.startServer();
  });
  after(() => kept.disposeAsync());

  const del = async ({ containerId: container, ifname, network }: Attachment) => {
    const config = { cniVersion: '1.1.0', name: network, type: 'smartnic', bridge: 'br0', vnicType: 'direct' };
    const began = performance.now();
    const { exit, stdout } = await node.cni('DEL', { containerId: container, ifname, config });
    assert.equal(exit, 0, stdout);
    return performance.now() - began;
  };
  /** Milliseconds of ADDs of others. */
  const others = async (times: number) => {
    await using pod = await node.pod();
    const config = { cniVersion: '1.1.0', name: 'others', type: 'smartnic', bridge: 'br0' };
    const taken: number[] = [];
    for (let round = 0; round < times; round++) {
      const call = { containerId: containerId(), netns: pod.path, config };
      const began = performance.now();
      const { exit, stdout } = await node.cni('ADD', call);
      taken.push(performance.now() - began);
      assert.equal(exit, 0, stdout);
      await node.cni('DEL', call);
    }
    return taken.toSorted((a, b) => a - b);
  };
  const errands = async () => {
    const { stdout } = await run('pgrep', ['--count', '--full', 'smartnic-errand .*/sys/bus/pci/drivers/stubborn/unbind'], {
      reject: false,
    });
    return Number(stdout);
  };

  it('costs each of them ten seconds once, and the others nothing', async () => {
    await others(5);
    const free = await others(rounds);
    const first = Promise.allSettled(attachments.map(del));
    const during = await others(rounds);
    for (const end of await first)
      assert.ok(
        end.status === 'fulfilled' && end.value > 9000 && end.value < 25_000,
        `the DEL of a held VF: ${Object.values(end)}`,
      );
    assert.equal(await errands(), many);
    const again = Math.max(...(await Promise.all(attachments.map(del))));
    assert.ok(again < 5000, `later DELs took up to ${again} ms`);
    const after = await others(rounds);
    assert.equal(await errands(), many, 'a second errand was sent to a VF');
    assert.match(await node.log(), /still under way since \S+Z: write \/sys\/bus\/pci\/drivers\/stubborn\/unbind/);
    for (const [when, taken] of Object.entries({ 'no VF is held': free, 'ten are tried': during, 'ten are held': after }))
      console.log(`      ADD of others while ${when}: median ${ms(taken[rounds / 2])}, p99 ${ms(taken[rounds - 1])}`);
  });

  it('ends in its time on SIGTERM; the next one serves at once, and leaves the VFs to the errands that are still out', async () => {
    const next = node.startServer({ SMARTNIC_STANDBY: 'true' });
    const first = await untilStandby(node);
    const began = performance.now();
    assert.equal(await first.stop(), 0);
    const gone = performance.now();
    await next;
    const serving = performance.now();
    console.log(`      SIGTERM to gone ${ms(gone - began)}, then ${ms(serving - gone)} until the next one serves`);
    assert.ok(gone - began < 10_000);
    assert.equal((await others(3)).length, 3);
    await Promise.all(attachments.map(del));
    assert.equal(await errands(), many);
  });

  it('leaves the next one its lock when it is killed', async () => {
    const next = node.startServer({ SMARTNIC_STANDBY: 'true' });
    const first = await untilStandby(node);
    const began = performance.now();
    await first.stop('SIGKILL');
    await next;
    console.log(`      SIGKILL, then ${ms(performance.now() - began)} until the next one serves`);
    assert.equal((await others(3)).length, 3);
    assert.equal(await errands(), many);
  });

  it('has them again when their drivers let go', async () => {
    for (const vf of vfs) tree.remove(`/sys/bus/pci/devices/${vf.address}`);
    await files.release();
    await until(async () => (await errands()) === 0, 'the end of the errands');
    await Promise.all(attachments.map(del));
    assert.deepEqual(await node.journal(), []);
  });
});

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

/** The server that works, once another one stands by. */
async function untilStandby(node: TestNode) {
  const { server } = node;
  const before = (await node.log()).split('standing by').length;
  for (let tries = 0; (await node.log()).split('standing by').length === before && tries < 200; tries++) await sleep(50);
  return server;
}

function ms(value = Number.NaN): string {
  return `${Math.round(value * 10) / 10} ms`;
}
