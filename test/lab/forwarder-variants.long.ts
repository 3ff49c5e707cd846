// `virtio-forwarder` on real VFs: the contract of vnic types, and a VF that is removed under its relay. forwarder.test.ts has the rest.
import assert from 'node:assert/strict';
import { vnicContract } from '../support/vnic-contract.ts';
import { type DirectMachine, endSharedMachine, sharedDirectMachine, virtio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';
import { type LabForwarder, startForwarder } from './forwarder.ts';
import { pfs } from './hardware.ts';
import { bindVfs, makeVfs } from './vfs.ts';

after(endSharedMachine);

describe('virtio-forwarder', () => {
  let machine: DirectMachine;
  let forwarder: LabForwarder;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
    // For half a minute the VFs that an earlier file's pods had count as used. The pods here would get VFs of their PF.
    await machine.kubelet.untilOffered(virtio, 14);
    forwarder = await startForwarder(machine);
  });
  const { pod, add, del, end, state, forget } = directPods(() => machine, { state: () => forwarder.left() });

  describe('keeps the contract of vnic types', () => {
    vnicContract(() => ({
      refusingIpam: 'refusing',
      cni: machine.node.cni,
      state,
      call: async (config) => (await pod(virtio, config)).call,
    }));
  });

  it('lets a pod go whose VF is being removed: the kernel waits for the relay, which ends with DEL', async () => {
    const one = await pod(virtio);
    await add(one);
    const pf = machine.vfs.find(({ address }) => address === one.vfs[0])?.pf;
    await machine.lab.sh(`setsid sh -c 'echo 0 >/sys/bus/pci/devices/${pf}/sriov_numvfs' </dev/null >/dev/null 2>&1 & sleep 0.5`);
    await del(one);
    await machine.lab.sh(
      `for tries in $(seq 100); do [ $(cat /sys/bus/pci/devices/${pf}/sriov_numvfs) = 0 ] && exit 0; sleep 0.1; done; exit 1`,
    );
    await end(one);
    assert.equal(await forwarder.left(), '');
    const vfs = await makeVfs(machine.lab, pfs[2], 7);
    assert.equal(pf, pfs[2].address);
    await bindVfs(machine.lab, vfs, 'igbvf');
    await machine.kubelet.untilOffered(virtio, 14);
    // Names and addresses of the new netdevs are others.
    await forget();
  });
});
