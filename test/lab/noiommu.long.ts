// `direct` on a machine whose IOMMU is off: refused, unless the admin says otherwise. A guest of its own, because that is decided at boot.
import assert from 'node:assert/strict';
import { refused, succeeded } from '../support/answers.ts';
import { containerId } from '../support/node.ts';
import { LabUnavailable } from './ensure.ts';
import { pfs } from './hardware.ts';
import { startLabKubelet } from './kubelet.ts';
import { bootLab, type Lab } from './lab.ts';
import { startLabNode } from './node.ts';
import { type LabVf, makeVfs } from './vfs.ts';

describe('direct without an IOMMU', () => {
  let lab: Lab;
  let vfs: readonly LabVf[];
  before(async function () {
    try {
      lab = await bootLab({ iommu: false });
    } catch (error) {
      if (!(error instanceof LabUnavailable)) throw error;
      console.log(`skipped: ${error.message}`);
      this.skip();
    }
    vfs = await makeVfs(lab, pfs[0], 1);
  });
  after(async () => await lab?.[Symbol.asyncDispose]());

  it('is refused, by the device plugin and by ADD; where the admin allows it and the kernel does not, nothing is left', async () => {
    const kubelet = await startLabKubelet(lab);
    const node = await startLabNode(lab);
    const resource = 'smartnic.io/direct';
    const [address] = vfs.map((vf) => vf.address);
    assert.match(await node.smartnic('vfs'), new RegExp(`${address} .*iommu-group-missing: it is in no IOMMU group`));
    await assert.rejects(kubelet.admit('lab/early', { [resource]: 1 }), /UnexpectedAdmissionError/);
    await kubelet.give('lab/web', resource, address ?? '');
    await node.vsctl('add-br', 'br0');
    const call = {
      containerId: containerId(),
      netns: await node.pod('web'),
      args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=lab;K8S_POD_NAME=web',
      config: { cniVersion: '1.1.0', name: 'tenant-a', type: 'smartnic', bridge: 'br0', vnicType: 'direct', representor: 'none' },
    };
    const words = /VF 0000:41:10.0: no IOMMU keeps it from the machine's memory; .*"allowNoiommu: true"/;
    refused(await node.cni('ADD', call), 100, words);
    await lab.sh('echo "allowNoiommu: true" >>/etc/smartnic/config.yaml');
    await node.restart('cni');
    // Debian's kernel is built without vfio's no-IOMMU mode: vfio-pci does not take the VF.
    refused(await node.cni('ADD', call), 100, /bind 0000:41:10.0 to vfio-pci: it is bound to no driver instead; .*dmesg/);
    const left = await lab.sh(
      'cat /sys/bus/pci/devices/0000:41:10.0/driver_override; ls /sys/bus/pci/devices/0000:41:10.0/driver 2>/dev/null; ls /var/lib/smartnic/attachments',
    );
    assert.equal(left, '(null)');
    succeeded(await node.cni('DEL', call));
  });
});
