// `direct` for more pods, VFs and accidents than direct.test.ts has.
import assert from 'node:assert/strict';
import { vnicContract } from '../support/vnic-contract.ts';
import { type DirectMachine, endSharedMachine, kernel, sharedDirectMachine, vfio } from './direct-machine.ts';
import { directPods } from './direct-pods.ts';
import { bindVfs } from './vfs.ts';

after(endSharedMachine);

describe('direct', () => {
  let machine: DirectMachine;
  before(async function () {
    machine = await sharedDirectMachine.call(this);
  });
  const { pod, add, check, del, forget } = directPods(() => machine);

  it('plugs 21 pods at once and leaves nothing of them', async () => {
    const all = await Promise.all([
      ...Array.from({ length: 14 }, (_, each) => pod(vfio, { maxTxRate: 10 + each })),
      ...Array.from({ length: 7 }, () => pod(kernel)),
    ]);
    assert.equal(new Set(all.flatMap(({ vfs }) => vfs)).size, 21);
    const results = await Promise.all(all.map(add));
    assert.deepEqual(
      results.map(({ interfaces }) => interfaces[0]?.pciID),
      all.flatMap(({ vfs }) => vfs),
    );
    await Promise.all(all.map(del));
  });

  describe('keeps the contract of vnic types with a VF whose netdev goes to the pod', () => {
    vnicContract(() => ({
      refusingIpam: 'refusing',
      cni: machine.node.cni,
      state: machine.state,
      call: async (config) => (await pod(kernel, { maxTxRate: 100, ...config })).call,
    }));
  });

  describe('whose VF was removed meanwhile', () => {
    for (const resource of [vfio, kernel]) {
      it(`lets a pod of ${resource} go, and the VFs that come next are free`, async () => {
        const one = await pod(resource, { vlan: 9 });
        const result = await add(one);
        const pf = machine.vfs.find(({ address }) => address === one.vfs[0])?.pf;
        await machine.lab.sh(`echo 0 >/sys/bus/pci/devices/${pf}/sriov_numvfs`);
        assert.match((await check(one, result)).json.msg, /is not on the machine any more/);
        await del(one);
        await machine.kubelet.remove(`lab/${one.netnsName}`);
        await machine.lab.sh(`echo 7 >/sys/bus/pci/devices/${pf}/sriov_numvfs`);
        if (resource === kernel)
          await bindVfs(
            machine.lab,
            machine.vfs.filter((vf) => vf.pf === pf),
            'igbvf',
          );
        await machine.kubelet.untilOffered(resource, resource === vfio ? 14 : 7);
        assert.equal(await machine.lab.sh('ls /var/lib/smartnic/attachments'), '');
        await forget(); // these have other MACs
        const next = await pod(resource, { vlan: 9 });
        await add(next);
        await del(next);
      });
    }
  });
});
