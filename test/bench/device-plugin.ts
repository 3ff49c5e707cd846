// The shipped device plugin on a big machine (512 vfs on 8 pfs) made of files, with the fake kubelet and the real kernel's events.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scanNics } from '../../host/nics.ts';
import { listDirectory } from '../../host/sysfs.ts';
import { bigMachine } from '../support/big-tree.ts';
import { startDaemon } from '../support/daemon.ts';
import { FakeKubelet } from '../support/fake-kubelet.ts';
import { answering, makeTree, type Tree } from '../support/sysfs-tree.ts';
import { atMost, type Bench, median, rounded, timed } from './figure.ts';

const bundle = join(import.meta.dirname, '../../dist/smartnic-device-plugin.mjs');
const direct = 'smartnic.io/direct';
const config = 'pools: [{ name: all, vnicType: [direct, virtio-forwarder], selectors: [{ vendors: ["15b3"] }] }]';
const [scans, turns, calls] = [31, 15, 10_000];

export const run: Bench = async (progress) => {
  using tree = makeTree(...bigMachine());
  const kubelet = new FakeKubelet({ directory: join(tree.root, 'k') });
  await kubelet.start();
  mkdirSync(join(tree.root, 'etc'));
  writeFileSync(join(tree.root, 'etc/pools.yaml'), config);
  progress(`${scans} scans of 512 vfs on 8 pfs`);
  const scan = await medianOf(scans, () => scanNics(tree.host, { ask: answering(), allocated: new Set() }));
  const flags = [
    '--config',
    join(tree.root, 'etc/pools.yaml'),
    '--root',
    tree.root,
    '--kubelet-dir',
    '/k',
    '--address',
    '127.0.0.1:0',
  ];
  const plugin = startDaemon(bundle, flags, process.env);
  try {
    const start = await timed(() => kubelet.untilOffered(direct, 512, 512, 20_000));
    progress(`${turns} vfs removed and added`);
    const gone = await measureGone(tree, kubelet);
    progress(`${calls} Allocate calls`);
    const allocations = await measureAllocate(kubelet);
    return [
      atMost(50, { name: 'device-plugin: scan of 512 vfs on 8 pfs', value: rounded(scan), unit: 'ms' }),
      { name: 'device-plugin: start to 512 vfs offered', value: rounded(start), unit: 'ms' },
      atMost(1000, { name: 'device-plugin: vf gone to message at kubelet', value: rounded(gone), unit: 'ms' }),
      { name: 'device-plugin: Allocate, median', value: rounded(median(allocations)), unit: 'ms' },
      atMost(5, { name: 'device-plugin: Allocate, 99th percentile', value: rounded(percentile(allocations, 0.99)), unit: 'ms' }),
      atMost(90, { name: 'device-plugin: resident', value: rounded(residentMegabytes(plugin.pid)), unit: 'MB' }),
    ];
  } finally {
    await plugin.stop();
    kubelet.stop();
  }
};

async function medianOf(count: number, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < count; turn += 1) times.push(await timed(work));
  return median(times);
}

/** The tree tells nobody of its changes, so the kernel is made to announce some PCI device. */
async function measureGone(tree: Tree, kubelet: FakeKubelet): Promise<number> {
  const [pf] = bigMachine();
  const device = listDirectory('/sys/bus/pci/devices')[0];
  if (pf === undefined || device === undefined) throw new Error('this machine has no PCI device that could be announced');
  const times: number[] = [];
  for (const vf of (pf.vfs ?? []).slice(0, turns)) {
    for (const [change, count] of [
      [tree.removeVf, 511],
      [tree.addVf, 512],
    ] as const) {
      change(pf, vf);
      const time = await timed(async () => {
        writeFileSync(`/sys/bus/pci/devices/${device}/uevent`, 'change');
        await kubelet.untilOffered(direct, count);
      });
      if (count === 511) times.push(time);
    }
  }
  return median(times);
}

async function measureAllocate(kubelet: FakeKubelet): Promise<readonly number[]> {
  const ids = kubelet.healthy(direct);
  const times: number[] = [];
  for (let call = 0; call < calls; call += 1)
    times.push(await timed(() => kubelet.allocateRaw(direct, [[ids[call % ids.length] ?? '']])));
  return times;
}

function percentile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;
}

function residentMegabytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
