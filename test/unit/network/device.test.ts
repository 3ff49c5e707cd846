// Which of the pod's devices an interface takes.
import assert from 'node:assert/strict';
import { chooseDevice, type DeviceChoice } from '../../../network/device.ts';

const [direct, virtio] = ['smartnic.io/direct', 'smartnic.io/virtio-forwarder'];
const [a, b, c] = ['0000:01:01.0', '0000:01:01.1', '0000:01:01.2'] as const;

describe('the choice of a vf', () => {
  const choose = (held: Record<string, readonly string[]>, more: Partial<DeviceChoice> = {}) =>
    chooseDevice(
      Object.entries(held).map(([resource, ids]) => ({ resource, ids })),
      {
        ...{ pod: 'shop/web', network: 'n', resource: direct, asked: undefined },
        ...{ type: 'direct', taken: new Map(), ...more },
      },
    );

  it('is the first of the right resource in the order of addresses, whatever order kubelet has', () => {
    assert.equal(choose({ [virtio]: [a], [direct]: [c, b] }), b);
  });

  it('passes over those that other interfaces of the pod have', () => {
    assert.equal(choose({ [direct]: [c, b] }, { taken: new Map([[b, 'net1']]) }), c);
    assert.throws(() => choose({ [direct]: [b] }, { taken: new Map([[b, 'net1']]) }), {
      name: 'Refusal',
      message: 'pod shop/web has 1 of smartnic.io/direct, all in use by net1; ask for one more in its resources.limits',
    });
  });

  it("is Multus' where Multus has chosen, if it is the pod's", () => {
    assert.equal(choose({ [direct]: [b, c] }, { asked: c }), c);
    assert.throws(() => choose({ [direct]: [b] }, { asked: c }), {
      name: 'Refusal',
      message: `deviceID: kubelet has not allocated ${c} to pod shop/web, which has smartnic.io/direct of ${b}; leave deviceID to Multus, never write it by hand`,
    });
    assert.throws(() => choose({}, { asked: c }), /which has no smartnic\.io\/direct/);
    assert.throws(
      () => choose({ [direct]: [b] }, { asked: b, taken: new Map([[b, 'net1']]) }),
      /is in use by interface net1 of the same pod/,
    );
  });

  it('is never a vf that was allocated as something else', () => {
    assert.throws(() => choose({ [virtio]: [a] }, { asked: a }), {
      name: 'Refusal',
      message:
        /^deviceID: 0000:01:01.0 is pod shop\/web's as smartnic.io\/virtio-forwarder, but network "n" takes smartnic.io\/direct for direct; set the key "resource"/,
    });
    assert.throws(
      () => choose({ [virtio]: [a] }),
      /has no smartnic.io\/direct \(it has smartnic.io\/virtio-forwarder: 1\).*add smartnic.io\/direct: 1/,
    );
    assert.throws(() => choose({}), /has no smartnic.io\/direct \(it has no devices at all\)/);
  });
});
