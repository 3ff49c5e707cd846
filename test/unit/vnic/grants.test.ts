// What a container is granted for a VF, by type and by how the machine names its vfio nodes.
import { strict as assert } from 'node:assert';
import type { Vf } from '../../../host/nic/vf.ts';
import * as direct from '../../../vnic/direct.ts';
import type { VfDriver } from '../../../vnic/drivers.ts';
import * as forwarder from '../../../vnic/virtio-forwarder.ts';
import { someVf } from '../../support/resources.ts';

describe('the grant of direct', () => {
  const grant = (vf: Vf, driver: VfDriver = 'vfio-pci') => direct.offer.grant({ id: vf.address, vf, driver });
  function nodes(vf: Vf): readonly string[] {
    return grant(vf).devices.map((node) => `${node.hostPath} ${node.containerPath} ${node.permissions}`);
  }

  it("is the vfio container and the group's node", () => {
    assert.deepEqual(nodes(someVf(1, 2)), ['/dev/vfio/vfio /dev/vfio/vfio rw', '/dev/vfio/1002 /dev/vfio/1002 rw']);
  });

  it('names a noiommu group in the container as user space looks for it', () => {
    const vf = someVf(1, 2, { iommuGroup: { id: 7, noiommu: true, members: ['0000:01:01.2'] } });
    assert.deepEqual(nodes(vf), ['/dev/vfio/vfio /dev/vfio/vfio rw', '/dev/vfio/noiommu-7 /dev/vfio/7 rw']);
    assert.equal(grant(vf).info['vfio']?.['dev-mount'], '/dev/vfio/7');
  });

  it("has the vf's own character device where the kernel makes one", () => {
    const vf = someVf(1, 2, { driver: 'vfio-pci', vfioDevice: 'vfio3' });
    assert.equal(nodes(vf).at(-1), '/dev/vfio/devices/vfio3 /dev/vfio/devices/vfio3 rw');
  });

  it('has no character device of a variant of vfio, from which ADD takes the VF', () => {
    assert.deepEqual(nodes(someVf(1, 2, { driver: 'mlx5_vfio_pci', vfioDevice: 'vfio3' })), nodes(someVf(1, 2)));
  });

  it('is there before the vf is bound to vfio-pci: the group is known, ADD binds later', () => {
    assert.equal(nodes(someVf(1, 2, { driver: 'igbvf', netdev: 'eth5' })).length, 2);
  });

  it('has no node at all for a pool whose vfs move into the pod as netdevs', () => {
    const { iommuGroup: _, ...bare } = someVf(1, 2);
    assert.deepEqual(grant(bare, 'kernel'), { devices: [], mounts: [], info: { generic: { deviceID: '0000:01:01.2' } } });
  });

  it('says what to do about a vf in no IOMMU group', () => {
    const { iommuGroup: _, ...bare } = someVf(1, 2);
    assert.throws(() => grant(bare), /^Error: 0000:01:01.2 is in no IOMMU group.*intel_iommu=on/);
  });
});

describe('the grant of virtio-forwarder', () => {
  it("is the vf's directory, writable because the container is the socket's server, and no vfio node", () => {
    assert.deepEqual(forwarder.offer.grant({ id: '0000:01:01.2' }), {
      devices: [],
      mounts: [
        { hostPath: '/run/smartnic/vhost/0000:01:01.2', containerPath: '/var/run/smartnic/0000:01:01.2', readOnly: false },
      ],
      info: {
        generic: { deviceID: '0000:01:01.2' },
        'vhost-user': { mode: 'server', path: '/var/run/smartnic/0000:01:01.2/vhost.sock' },
      },
    });
  });

  it('has socket paths that fit, on the host and in the container', () => {
    // The longest slot: a pool's name has 63 characters.
    for (const id of ['0000:01:01.2', `${'p'.repeat(63)}-999`]) {
      const { hostPath, containerPath } = forwarder.socketPlace(id);
      assert.ok(Buffer.byteLength(hostPath) <= 107 && Buffer.byteLength(containerPath) <= 107);
    }
  });
});
