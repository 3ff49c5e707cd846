// Allocate as a table of request -> answer or refusal, without any kubelet.
import { strict as assert } from 'node:assert';
import { allocate } from '../../../../device-plugin/answers/allocate.ts';
import { Refusal } from '../../../../device-plugin/answers/refusal.ts';
import type { Snapshot } from '../../../../device-plugin/answers/snapshot.ts';
import { cdiSpec } from '../../../../inventory/files/cdi.ts';
import type { Resource } from '../../../../inventory/offer/resource.ts';
import { someResource, someVf, someVfs, withProblems } from '../../../support/resources.ts';

const name = 'smartnic.io/direct';

function offering(...resources: readonly Resource[]): Snapshot {
  return { resources, holdings: new Map() };
}

describe('Allocate', () => {
  it('gives a direct vf its vfio nodes and the variables that SR-IOV readers expect', () => {
    const [answer] = allocate(offering(someResource(name, someVfs([1], 4))), name, [['0000:01:01.2', '0000:01:01.0']]);
    assert.deepEqual(answer, {
      envs: {
        PCIDEVICE_SMARTNIC_IO_DIRECT: '0000:01:01.0,0000:01:01.2',
        PCIDEVICE_SMARTNIC_IO_DIRECT_INFO: JSON.stringify({
          '0000:01:01.0': {
            generic: { deviceID: '0000:01:01.0' },
            vfio: { mount: '/dev/vfio/vfio', 'dev-mount': '/dev/vfio/1000' },
          },
          '0000:01:01.2': {
            generic: { deviceID: '0000:01:01.2' },
            vfio: { mount: '/dev/vfio/vfio', 'dev-mount': '/dev/vfio/1002' },
          },
        }),
      },
      mounts: [],
      devices: [
        { hostPath: '/dev/vfio/vfio', containerPath: '/dev/vfio/vfio', permissions: 'rw' },
        { hostPath: '/dev/vfio/1000', containerPath: '/dev/vfio/1000', permissions: 'rw' },
        { hostPath: '/dev/vfio/1002', containerPath: '/dev/vfio/1002', permissions: 'rw' },
      ],
      cdiDevices: [],
    });
  });

  it("gives a slot its directory, as it gives a vf's, and nothing else", () => {
    const ovs = 'smartnic.io/ovs';
    const units = ['ovs-0', 'ovs-1'].map((id) => ({ id, problems: [], numaNodes: [] }));
    const [answer] = allocate(offering(someResource(ovs, [], { vnicType: 'virtio-forwarder', units })), ovs, [['ovs-1']]);
    const path = '/var/run/smartnic/ovs-1';
    assert.deepEqual(answer, {
      envs: {
        PCIDEVICE_SMARTNIC_IO_OVS: 'ovs-1',
        PCIDEVICE_SMARTNIC_IO_OVS_INFO: JSON.stringify({
          'ovs-1': { generic: { deviceID: 'ovs-1' }, 'vhost-user': { mode: 'server', path: `${path}/vhost.sock` } },
        }),
      },
      mounts: [{ hostPath: '/run/smartnic/vhost/ovs-1', containerPath: path, readOnly: false }],
      devices: [],
      cdiDevices: [],
    });
  });

  it('names a resource with a hyphen twice in the environment, because a shell can read only one of the two', () => {
    const forwarder = 'smartnic.io/virtio-forwarder';
    const [answer] = allocate(offering(someResource(forwarder, someVfs([1], 1))), forwarder, [['0000:01:01.0']]);
    assert.deepEqual(Object.keys(answer?.envs ?? {}), [
      'PCIDEVICE_SMARTNIC_IO_VIRTIO-FORWARDER',
      'PCIDEVICE_SMARTNIC_IO_VIRTIO-FORWARDER_INFO',
      'PCIDEVICE_SMARTNIC_IO_VIRTIO_FORWARDER',
      'PCIDEVICE_SMARTNIC_IO_VIRTIO_FORWARDER_INFO',
    ]);
  });

  it('answers with CDI names where the pool says so, and each is in the spec', () => {
    const resource = someResource(name, someVfs([1], 2), { cdi: true });
    const [answer] = allocate(offering(resource), name, [['0000:01:01.1']]);
    assert.deepEqual(answer?.cdiDevices, ['smartnic.io/direct=0000:01:01.1']);
    const { kind, devices } = JSON.parse(cdiSpec(resource));
    assert.deepEqual([kind, devices[1].name], ['smartnic.io/direct', '0000:01:01.1']);
    assert.deepEqual(devices[1].containerEdits.deviceNodes[1], {
      path: '/dev/vfio/1001',
      hostPath: '/dev/vfio/1001',
      permissions: 'rw',
    });
  });

  it('leaves out of the CDI spec what nothing can be granted for', () => {
    const [vf, { iommuGroup: _, ...bare }] = [someVf(1, 0), someVf(1, 1)];
    assert.deepEqual(JSON.parse(cdiSpec(someResource(name, [vf, bare]))).devices.length, 1);
  });

  it('answers several containers in their order', () => {
    const answers = allocate(offering(someResource(name, someVfs([1], 4))), name, [
      ['0000:01:01.3'],
      ['0000:01:01.1', '0000:01:01.0'],
    ]);
    const addresses = answers.map((answer) => answer.envs['PCIDEVICE_SMARTNIC_IO_DIRECT']);
    assert.deepEqual(addresses, ['0000:01:01.3', '0000:01:01.0,0000:01:01.1']);
  });

  it('gives a vf again that is held under the same name: kubelet alone knows when a pod has ended', () => {
    const holdings = new Map([['0000:01:01.0', { resource: name, since: 0, named: true }]]);
    allocate({ resources: [someResource(name, someVfs([1], 1))], holdings }, name, [['0000:01:01.0']]);
  });

  const direct = someResource(name, someVfs([1], 2));
  const other = someResource('smartnic.io/other', someVfs([2], 2), { pool: 'pool-b' });
  const shared = someResource('smartnic.io/virtio-forwarder', someVfs([1], 2));
  const { iommuGroup: _group, ...bare } = someVf(1, 0);
  const held = new Map([['0000:01:01.0', { resource: 'smartnic.io/virtio-forwarder', since: 0, named: true }]]);
  const refusals: readonly (readonly [string, Snapshot, readonly (readonly string[])[], number, RegExp])[] = [
    ['no container at all', offering(direct), [], 3, /^Allocate of smartnic.io\/direct names no container/],
    ['a container without devices', offering(direct), [[]], 3, /names no device/],
    ['an empty id', offering(direct), [['']], 5, /^an empty id is not one of smartnic.io\/direct/],
    ['a vf asked for twice', offering(direct), [['0000:01:01.0', '0000:01:01.0']], 3, /asks for 0000:01:01.0 twice/],
    [
      'a vf asked for by two containers',
      offering(direct),
      [['0000:01:01.0'], ['0000:01:01.0']],
      3,
      /asks for 0000:01:01.0 twice/,
    ],
    [
      'an unknown id',
      offering(direct),
      [['0000:09:01.0']],
      5,
      /^0000:09:01.0 is not one of smartnic.io\/direct \(pool pool-a\) on this node/,
    ],
    [
      'an id of another pool',
      offering(direct, other),
      [['0000:02:01.0']],
      5,
      /^0000:02:01.0 belongs to smartnic.io\/other \(pool pool-b\), not to smartnic.io\/direct \(pool pool-a\)/,
    ],
    [
      'an unhealthy id',
      offering(withProblems(direct, '0000:01:01.0', 'driver-wrong', 'representor-missing')),
      [['0000:01:01.0']],
      9,
      /^0000:01:01.0 of smartnic.io\/direct is unhealthy: driver-wrong, representor-missing\. .*smartnic\.mjs explain 0000:01:01.0/,
    ],
    [
      'a vf in no IOMMU group',
      offering(someResource(name, [bare])),
      [['0000:01:01.0']],
      9,
      /is in no IOMMU group.*intel_iommu=on/,
    ],
    [
      'a resource that was taken out of the configuration',
      offering(other),
      [['0000:01:01.0']],
      5,
      /is no longer offered on this node/,
    ],
    [
      'a vf held under another name',
      { resources: [direct, shared], holdings: held },
      [['0000:01:01.0']],
      10,
      /^0000:01:01.0 was asked for as smartnic.io\/direct but is already held as smartnic.io\/virtio-forwarder: this pod lost the race/,
    ],
    [
      'a shared vf while nobody knows what is held',
      { ...offering(direct, shared), unknownHoldings: 'kubelet is silent' },
      [['0000:01:01.0']],
      14,
      /not known yet under which it is held: kubelet is silent/,
    ],
  ];
  for (const [what, snapshot, requests, code, text] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => allocate(snapshot, name, requests),
        (error) => error instanceof Refusal && error.code === code && text.test(error.message),
      );
    });
  }
});
