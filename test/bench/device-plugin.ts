// The shipped device plugin on a big machine (512 VFs on 8 PFs) made of files, with the fake kubelet and the real kernel's events.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listDirectory } from '../../host/kernel/sysfs.ts';
import { bigMachine } from '../support/big-tree.ts';
import { startDaemon } from '../support/daemon.ts';
import { FakeKubelet } from '../support/fake-kubelet.ts';
import { freePort } from '../support/free-port.ts';
import { makeTree, type Tree } from '../support/sysfs-tree.ts';
import { atMost, type Bench, median, rounded, timed } from './figure.ts';

const bundle = join(import.meta.dirname, '../../dist/smartnic-device-plugin.mjs');
const direct = 'smartnic.io/direct';
const config = 'pools: [{ name: all, vnicType: [direct, virtio-forwarder], selectors: [{ vendors: ["15b3"] }] }]';
const [looks, turns, calls] = [31, 15, 10_000];

export const run: Bench = async (progress) => {
  using tree = makeTree(...bigMachine());
  const kubelet = new FakeKubelet({ directory: join(tree.root, 'k') });
  await kubelet.start();
  mkdirSync(join(tree.root, 'etc'));
  writeFileSync(join(tree.root, 'etc/pools.yaml'), config);
  const port = await freePort();
  const flags = [
    '--config',
    join(tree.root, 'etc/pools.yaml'),
    '--root',
    tree.root,
    '--kubelet-dir',
    '/k',
    '--address',
    `127.0.0.1:${port}`,
  ];
  const plugin = startDaemon(bundle, flags, process.env);
  try {
    const start = await timed(() => kubelet.untilOffered(direct, 512, 512, 20_000));
    progress(`${looks} looks at 512 vfs on 8 pfs`);
    const look = await measureLooks(port);
    progress(`${turns} vfs removed and added`);
    const gone = await measureGone(tree, kubelet);
    progress(`${calls} Allocate calls`);
    const allocations = await measureAllocate(kubelet);
    return [
      atMost(50, { name: 'device-plugin: scan of 512 vfs on 8 pfs', value: rounded(look), unit: 'ms' }),
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

/** What the plugin itself says of its looks: sysfs, and the kernel asked by netlink. */
async function measureLooks(port: number): Promise<number> {
  const read = async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    return { count: value('smartnic_looks'), seconds: value('smartnic_look_seconds') };
  };
  const times: number[] = [];
  for (let { count } = await read(); times.length < looks; ) {
    announce();
    await sleep(300); // asking sooner would disturb the look
    const now = await read();
    if (now.count > count) times.push(now.seconds * 1000);
    count = now.count;
  }
  return median(times);
}

/** The tree tells nobody of its changes, so the kernel is made to announce some PCI device. */
function announce(): void {
  const device = listDirectory('/sys/bus/pci/devices')[0];
  if (device === undefined) throw new Error('this machine has no PCI device that could be announced');
  writeFileSync(`/sys/bus/pci/devices/${device}/uevent`, 'change');
}

async function measureGone(tree: Tree, kubelet: FakeKubelet): Promise<number> {
  const [pf] = bigMachine();
  const times: number[] = [];
  for (const vf of (pf?.vfs ?? []).slice(0, turns)) {
    for (const [change, count] of [
      [tree.removeVf, 511],
      [tree.addVf, 512],
    ] as const) {
      if (pf !== undefined) change(pf, vf);
      const time = await timed(async () => {
        announce();
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
