// `direct` on a machine whose IOMMU is off: refused, unless the admin says otherwise. A guest of its own, because that is decided at boot.
import assert from 'node:assert/strict';
import { refused, succeeded } from '../support/answers.ts';
import { containerId } from '../support/node.ts';
import { LabUnavailable } from './ensure.ts';
import { pfs } from './hardware.ts';
import { startLabKubelet } from './kubelet.ts';
import { bootLab, type Lab } from './lab.ts';
import { startLabNode } from './node.ts';
import { bindVfs, type LabVf, makeVfs, unbindVfs } from './vfs.ts';

describe('direct without an IOMMU', function () {
  this.timeout(180_000);
  let lab: Lab;
  let vfs: readonly LabVf[];
  before(async function () {
    this.timeout(900_000);
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

  it('is refused, by the device plugin and by ADD, until the admin allows it; then the VF is plugged in no-IOMMU mode', async () => {
    const kubelet = await startLabKubelet(lab);
    const node = await startLabNode(lab);
    const resource = 'smartnic.io/direct';
    assert.match(
      await node.devicePlugin('vfs'),
      /0000:41:10.0 .*it is in no IOMMU group; switch the IOMMU on, or bind it to vfio-pci in no-IOMMU mode/,
    );
    await assert.rejects(kubelet.admit('lab/early', { [resource]: 1 }), /UnexpectedAdmissionError/);
    await lab.sh('echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode');
    await bindVfs(lab, vfs, 'vfio-pci');
    await kubelet.untilOffered(resource, 1);
    await node.vsctl('add-br', 'br0');
    const [given] = await kubelet.admit('lab/web', { [resource]: 1 });
    assert.deepEqual(given?.devices, ['/dev/vfio/vfio:/dev/vfio/vfio:rw', '/dev/vfio/noiommu-0:/dev/vfio/0:rw']);
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
    const { exit, stdout } = await node.cni('ADD', call);
    assert.equal(exit, 0, stdout);
    succeeded(await node.cni('DEL', call));
    assert.equal(await lab.sh('basename $(readlink /sys/bus/pci/devices/0000:41:10.0/driver)'), 'vfio-pci', 'as it was');
    await unbindVfs(lab, vfs);
  });
});
