import assert from 'node:assert/strict';
import { type NetworkConfig, parseNetworkConfig } from '../../../network/keys.ts';
import { requireKeepable, vfSettings } from '../../../network/vf-port.ts';

const mac = '02:00:00:00:00:01';

function config(more: object): NetworkConfig {
  return parseNetworkConfig({ name: 'n', type: 'smartnic', bridge: 'br0', ...more }, { lenient: false });
}

describe("a network's keys for vfs", () => {
  it('set no more on the vf than what was asked for, and the MAC', () => {
    assert.deepEqual(vfSettings(config({ vlan: 5 }), mac), { mac });
    assert.deepEqual(vfSettings(config({ maxTxRate: 100 }), mac), { mac, rate: { min: 0, max: 100 } });
    const all = {
      representor: 'none',
      vlan: 5,
      vlanQos: 3,
      minTxRate: 1,
      maxTxRate: 2,
      trust: false,
      spoofchk: true,
      linkState: 'enable',
    };
    assert.deepEqual(vfSettings(config(all), mac), {
      mac,
      vlan: { id: 5, qos: 3 },
      rate: { min: 1, max: 2 },
      trust: false,
      spoofchk: true,
      linkState: 'enable',
    });
  });

  it("take the VLAN off a vf on its pf's own switch when the network says 0, and leave it alone when it says nothing", () => {
    assert.deepEqual(vfSettings(config({ representor: 'none', vlan: 0 }), mac).vlan, { id: 0, qos: 0 });
    assert.equal('vlan' in vfSettings(config({ representor: 'none' }), mac), false);
  });

  const bad: readonly (readonly [object, RegExp])[] = [
    [{ driver: 'igb_uio' }, /^driver: "igb_uio" is not one of vfio-pci, kernel$/],
    [{ resource: 'direct' }, /^resource: "direct" is not a resource name such as smartnic.io\/direct$/],
    [{ representor: 'eth5' }, /^representor: "eth5" is not one of auto, none, hook$/],
    [{ maxTxRate: -1 }, /^maxTxRate: -1 is below the least, 0$/],
    [{ trust: 'on' }, /^trust: "on" is not a boolean$/],
    [{ linkState: 'up' }, /^linkState: "up" is not one of auto, enable, disable$/],
    [{ minTxRate: 200, maxTxRate: 100 }, /^minTxRate: 200 is above maxTxRate, 100$/],
    [{ vlan: 5, vlanQos: 3 }, /^vlanQos: 3 is set by the PF, which needs "representor": "none"/],
    [{ representor: 'none', vlanQos: 3 }, /^vlanQos: 3 is a priority in a VLAN, but "vlan" is not set$/],
    [{ allowedVnicTypes: ['normal'], maxTxRate: 100 }, /^maxTxRate: 100 is for VFs, but the network allows only normal$/],
    [{ hooks: 'yes' }, /^hooks: "yes" is not a boolean$/],
  ];
  for (const [more, message] of bad) {
    it(`are refused: ${JSON.stringify(more)}`, () => assert.throws(() => config(more), { kind: 'bad value', message }));
  }

  it('that promise something are refused for a port that can not keep it, those that say how a vf is plugged are not', () => {
    for (const [key, value] of Object.entries({ maxTxRate: 100, minTxRate: 1, trust: true, spoofchk: true, linkState: 'auto' })) {
      assert.throws(() => requireKeepable(config({ [key]: value }), 'normal', false), {
        kind: 'bad value',
        message: new RegExp(
          `^${key}: ${JSON.stringify(value)} can't be had with vnic type normal, which has no VF; leave ${key} out`,
        ),
      });
      requireKeepable(config({ [key]: value }), 'direct', true);
    }
    requireKeepable(config({ driver: 'kernel', resource: 'a.b/c', representor: 'none', trunk: [{ id: 1 }] }), 'normal', false);
  });

  it('allow a trunk only where there is a port of the bridge', () => {
    requireKeepable(config({ trunk: [{ id: 1 }] }), 'direct', true);
    assert.throws(
      () => requireKeepable(config({ representor: 'none', trunk: [{ id: 1 }] }), 'direct', true),
      /^Refusal: trunk: .*needs a port of the bridge/,
    );
  });
});
