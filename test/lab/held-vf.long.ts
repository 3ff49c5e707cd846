// A VF that a process really holds through VFIO: the kernel keeps whoever unbinds it from vfio-pci until that process lets go. It costs this VF, and
// no other interface. test/machine/held-server.test.ts shows the same for ten VFs, with a file system in the driver's place.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { succeeded } from '../support/answers.ts';
import { until } from '../support/until.ts';
import { type DirectMachine, endSharedMachine, kernel, type LabPod, sharedDirectMachine, vfio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';

after(endSharedMachine);

describe('a VF that a process holds through VFIO', () => {
  let machine: DirectMachine;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
  });
  const { pod, add, del } = directPods(() => machine);

  const seconds = async (work: () => Promise<unknown>) => {
    const began = performance.now();
    await work();
    return (performance.now() - began) / 1000;
  };
  /** A DPDK program that does not hear that the kernel asks for the device. Its first descriptors are the group and the device. */
  const hold = async ({ vfs: [vf = ''], netnsName }: LabPod): Promise<string> => {
    const { lab } = machine;
    await lab.sh(`
      mkfifo /tmp/held
      (sleep 10000 >/tmp/held) &
      ip netns exec ${netnsName} dpdk-testpmd -l 0-1 --in-memory -n 1 -a ${vf} -- --total-num-mbufs=4096 --no-lsc-interrupt -i \
        </tmp/held >/tmp/held.log 2>&1 &
    `);
    const find = `for pid in $(pgrep -f '^dpdk-testpmd .*-a ${vf}'); do
      ls -l /proc/$pid/fd | grep -q 'vfio-device' && ls -l /proc/$pid/fd | grep -q '/dev/vfio/[0-9]' && echo $pid; done`;
    let pid = '';
    await until(
      async () => {
        pid = await lab.sh(`${find}; true`);
        return pid !== '';
      },
      'the program has the group and the device open',
      60,
    );
    await lab.sh(`kill -STOP ${pid}`);
    return pid;
  };
  const letGo = async (pid: string) => {
    await machine.lab.sh(`kill -KILL ${pid}; pkill -f 'sleep 10000'; rm -f /tmp/held; true`);
  };
  const errands = async () => await machine.lab.sh("pgrep -f 'smartnic-errand .*unbind' | wc -l");
  const driver = async ([vf = '']: readonly string[]) =>
    await machine.lab.sh(`readlink /sys/bus/pci/devices/${vf}/driver | xargs -r basename`);
  /** Of the server that works, and not of the one that stands by. */
  const serving = async () =>
    await machine.lab.sh("ss -lxp | grep /run/smartnic/cni.sock | grep -o 'pid=[0-9]*' | head -1 | cut -d= -f2");

  it('costs this VF only: others come and go, later attempts say since when, and the server ends in its time', async () => {
    const { lab, node } = machine;
    const one = await pod(vfio);
    await add(one);
    const holder = await hold(one);
    try {
      const first = seconds(() => del(one));
      await until(async () => (await errands()) === '1', 'the kernel keeps our process', 30);
      for (const resource of [vfio, kernel]) {
        const other = await pod(resource);
        await add(other);
        await del(other);
      }
      assert.equal(await errands(), '1', 'the others came and went meanwhile');
      console.log(`      the first DEL took ${(await first).toFixed(1)} s`);
      const again = await seconds(() => del(one));
      assert.ok(again < 9, `the second DEL took ${again} s and waited for the kernel again`);
      assert.match(await node.smartnic('repair'), new RegExp(`failed .* it is deleted but for its cable \\(${one.vfs[0]}\\)`));
      assert.match(
        await node.log('cni'),
        new RegExp(
          `unbind ${one.vfs[0]} from vfio-pci: .*still under way since \\S+Z: write \\S+/unbind, which the kernel keeps process \\d+ of ours in`,
        ),
      );
      assert.match(
        await node.smartnic('attachments'),
        new RegExp(`deleting: its cable \\(${one.vfs[0]}\\) can't be taken away yet`),
      );
      assert.equal(await errands(), '1', 'a second process was sent');

      const before = await serving();
      const gone = Number(
        await lab.sh(`began=$(date +%s%N); kill -TERM ${before}; while [ -e /proc/${before} ]; do sleep 0.05; done
          echo $((($(date +%s%N) - began) / 1000000))`),
      );
      console.log(`      SIGTERM to gone: ${gone} ms`);
      assert.ok(gone < 16_000);
      await until(async () => !['', before].includes(await serving()), 'the next server serves', 60);
      const other = await pod(vfio);
      await add(other);
      await del(other);
      await del(one);
      assert.equal(await errands(), '1');
      assert.equal(await driver(one.vfs), 'vfio-pci');
    } finally {
      await letGo(holder);
    }
    await until(async () => (await errands()) === '0', 'the kernel lets our process go', 30);
    await sleep(100);
    await del(one);
    assert.notEqual(await driver(one.vfs), 'vfio-pci');
    assert.equal(await lab.sh('ls /var/lib/smartnic/attachments'), '');
    succeeded(await node.cni('DEL', one.call));
  });
});
