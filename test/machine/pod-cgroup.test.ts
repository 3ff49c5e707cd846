// Asks the real kernel, through the pod's cgroup, whether the pod has processes.
import assert from 'node:assert/strict';
import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasProcesses } from '../../host/kernel/pod-cgroup.ts';
import { start } from '../../tools/program.ts';
import { until } from '../support/until.ts';

const uid = '0b7c4a52-6f0e-4d0a-9c39-5a5a1f3c7f10';
const underscored = uid.replaceAll('-', '_');

describe("a pod's cgroup", () => {
  let top: string;
  before(function () {
    const [, mount] = / (\/sys\/fs\/cgroup\S*) cgroup2 /.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
    if (mount === undefined) return this.skip();
    try {
      accessSync(mount, constants.W_OK);
    } catch {
      return this.skip();
    }
    top = join(mount, `smartnic-test-${process.pid}`);
  });

  for (const [driver, folder] of [
    ['cgroupfs', `kubepods/pod${uid}/container`],
    ['systemd', `kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${underscored}.slice/crio-1.scope`],
  ] as const) {
    it(`tells whether the pod has processes (${driver})`, async () => {
      const path = join(top, folder);
      assert.equal(hasProcesses({ root: '/' }, uid), false);
      mkdirSync(path, { recursive: true });
      try {
        assert.equal(hasProcesses({ root: '/' }, uid), false);
        const child = start('sleep', ['60'], { reject: false });
        writeFileSync(join(path, 'cgroup.procs'), String(child.pid));
        assert.equal(hasProcesses({ root: '/' }, uid), true);
        assert.equal(hasProcesses({ root: '/' }, uid.replace('0b7c', 'ffff')), false);
        child.kill('SIGKILL');
        await child;
        await until(async () => !hasProcesses({ root: '/' }, uid), 'the kernel says that the cgroup is empty');
      } finally {
        for (let each = path; each.startsWith(top); each = dirname(each)) rmdirSync(each);
      }
    });
  }
});
