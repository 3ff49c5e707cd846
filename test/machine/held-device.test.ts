// VFs whose drivers do not let go: the kernel holds whoever writes to their `unbind`, and not even SIGKILL ends that process. Everything else
// has to go on.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Unavailable } from '../../host/base/errors.ts';
import { openNetlink } from '../../host/netlink/netlink.ts';
import { bindDriver, readBinding, restoreBinding } from '../../host/nic/driver.ts';
import { type FakeDriverCore, startFakeDriverCore } from '../support/fake-driver-core.ts';
import { type HeldFiles, skipWithoutFuse, startHeldFiles } from '../support/held-files.ts';
import { igb } from '../support/nic-trees.ts';
import { makeTree, type Tree, type TreeVf } from '../support/sysfs-tree.ts';
import { until } from '../support/until.ts';

describe('a driver that does not let go of its VFs', function () {
  this.timeout(60_000);
  let tree: Tree;
  let core: FakeDriverCore;
  let files: HeldFiles;
  let vfs: readonly TreeVf[];
  let free: TreeVf;
  before(function () {
    skipWithoutFuse.call(this);
    const pf = igb({ vfs: 12 });
    const all = (pf.vfs ?? []).map((vf, index) => ({ ...vf, driver: index === 0 ? 'igbvf' : 'stubborn' }));
    const [first, ...others] = all;
    if (first === undefined) throw new Error('the tree has no vfs');
    [free, vfs] = [first, others];
    tree = makeTree({ ...pf, vfs: all });
    core = startFakeDriverCore(tree, all, ['igbvf', 'vfio-pci']);
    files = startHeldFiles();
    tree.link('/sys/bus/pci/drivers/stubborn/unbind', files.file);
  });
  after(async () => {
    await files?.[Symbol.asyncDispose]();
    core?.[Symbol.dispose]();
    tree?.[Symbol.dispose]();
  });

  const release = (vf: TreeVf) => restoreBinding(tree.host, vf.address, { driver: 'igbvf' });
  const alive = async () => {
    const began = performance.now();
    using netlink = openNetlink();
    assert.equal((await netlink.link('lo'))?.name, 'lo');
    await readFile('/proc/version');
    return performance.now() - began;
  };

  it('costs each of them ten seconds, and nobody else anything', async () => {
    const began = performance.now();
    const ends = Promise.allSettled(vfs.map(release));
    let [over, slowest] = [false, 0];
    void ends.then(() => {
      over = true;
    });
    for (let turns = 0; !over; turns++) {
      slowest = Math.max(slowest, await alive());
      if (turns % 10 === 0) {
        await bindDriver(tree.host, free.address, 'vfio-pci');
        await restoreBinding(tree.host, free.address, { driver: 'igbvf' });
      }
    }
    for (const [index, end] of (await ends).entries()) {
      assert.ok(end.status === 'rejected' && end.reason instanceof Unavailable);
      const words =
        /^unbind (\S+) from stubborn: the kernel has not done it within 10 s and still keeps process \d+ of ours .*; does a process still use it\?$/;
      assert.equal(words.exec(end.reason.message)?.[1], vfs[index]?.address);
    }
    assert.ok(performance.now() - began < 20_000);
    assert.ok(slowest < 2000, `the slowest of the others took ${Math.round(slowest)} ms`);
  });

  it('is tried once: whoever comes later hears at once since when, also a server that comes after us', async () => {
    const began = performance.now();
    const tries = await Promise.allSettled([...vfs, ...vfs].map(release));
    for (const end of tries) {
      assert.ok(end.status === 'rejected' && end.reason instanceof Unavailable);
      assert.match(
        end.reason.message,
        /still under way since .*: write .*stubborn\/unbind, which the kernel keeps process \d+ of ours in/,
      );
    }
    await assert.rejects(readBinding(tree.host, vfs[0]?.address ?? ''), /still under way since/);
    const source = new URL('../../host/nic/driver.ts', import.meta.url);
    const script = `const { restoreBinding } = await import('${source}');
      await restoreBinding({ root: '${tree.host.root}', step() {} }, '${vfs[0]?.address}', {}).catch((error) => console.log(error.message));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
    assert.match(stdout, /still under way since/);
    assert.ok(performance.now() - began < 9000);
    const { stdout: errands } = await promisify(execFile)('pgrep', ['--full', `smartnic-errand ${tree.root}/`]);
    assert.equal(errands.trim().split('\n').length, vfs.length);
  });

  it('keeps no look at the machine, nor one at the number of its VFs, which the kernel does not tell meanwhile', async () => {
    tree.link('/sys/bus/pci/devices/0000:41:00.0/sriov_numvfs', files.file);
    for (const vf of vfs) tree.link(`/sys/bus/pci/devices/${vf.address}/driver_override`, files.file);
    const source = (path: string) => new URL(`../../host/${path}`, import.meta.url);
    const script = `const { scanNics } = await import('${source('nic/nics.ts')}');
      const { openNetlink } = await import('${source('netlink/netlink.ts')}');
      const { openKernelQuestions } = await import('${source('nic/kernel-facts.ts')}');
      const { ask } = openKernelQuestions({ root: '${tree.host.root}', netlink: openNetlink });
      const { pfs, vfs } = await scanNics({ root: '${tree.host.root}' }, { ask, allocated: new Set() });
      console.log(pfs[0].numVfs, vfs.length); process.exit(0)`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      timeout: 20_000,
    });
    assert.equal(stdout, '12 12\n');
  });

  it('gives them back when it lets go', async () => {
    await files.release();
    tree.link('/sys/bus/pci/drivers/stubborn/unbind', '/dev/null');
    for (const vf of vfs) tree.link(`/sys/bus/pci/devices/${vf.address}/driver_override`, '/dev/null');
    await until(
      async () => (await readBinding(tree.host, vfs[0]?.address ?? '').catch(() => undefined)) !== undefined,
      'its end',
    );
  });
});
