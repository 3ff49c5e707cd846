import assert from 'node:assert/strict';
import { boundsShape } from '../../../network/bounds.ts';
import { parseNetworkConfig } from '../../../network/keys.ts';
import { withinBounds } from '../../../network/within-bounds.ts';

const network = (more: object) => parseNetworkConfig({ name: 'n', type: 'smartnic', bridge: 'br0', ...more }, { lenient: false });
const rule = (more: object = {}) => boundsShape.parse([{ namespaces: ['*'], bridges: ['br0'], ...more }]);
const hold = (rules: object, config: object, reserves?: 'vf') =>
  withinBounds({ bounds: rule(rules), ovsdb: 'unix:/var/run/db' }, { config: network(config), namespace: 'a', reserves });
const fits = (rules: object, config: object, reserves?: 'vf') => {
  try {
    return hold(rules, config, reserves) !== undefined;
  } catch {
    return false;
  }
};

describe('bounds on networks', () => {
  it('are by the first rule that names the namespace, with * for any text', () => {
    const bounds = boundsShape.parse([
      { namespaces: ['a*b*c'], bridges: ['br0'] },
      { namespaces: ['x'], bridges: ['none'] },
    ]);
    const by = (namespace: string) => () =>
      withinBounds({ bounds, ovsdb: 'unix:/db' }, { config: network({}), namespace, reserves: undefined });
    for (const namespace of ['abc', 'a-b-c', 'abbc', 'abcbc']) assert.doesNotThrow(by(namespace), namespace);
    for (const namespace of ['ac', 'abd', 'xabc', ''])
      assert.throws(by(namespace), /no rule of the node's configuration is for namespace/);
    assert.throws(by('x'), /^Refusal: bridge: "br0" is not allowed for pods of namespace "x" by rule bounds\.1 \(for x\)/);
  });

  it('take long for no pattern', () => {
    const bounds = boundsShape.parse([{ namespaces: [`${'*a'.repeat(120)}b`], bridges: ['*'] }]);
    const config = network({});
    assert.throws(() => withinBounds({ bounds, ovsdb: 'unix:/db' }, { config, namespace: 'a'.repeat(253), reserves: undefined }));
  });

  it('join neighbouring ranges of VLANs', () => {
    assert.ok(fits({ trunks: ['10-19', '20-29'] }, { trunk: [{ minID: 15, maxID: 25 }] }));
    assert.ok(!fits({ trunks: ['10-19', '21-29'] }, { trunk: [{ minID: 15, maxID: 25 }] }));
    assert.ok(fits({ vlans: [7] }, { vlan: 7 }));
    assert.ok(!fits({ vlans: [7], trunks: [] }, { vlan: 7, trunk: [{ id: 0 }] }));
  });

  it('count a VF on its PF’s own switch without a VLAN as a trunk of all', () => {
    const legacy = { vnicType: 'direct', representor: 'none' };
    assert.ok(!fits({}, legacy, 'vf'));
    assert.ok(fits({ trunks: 'all' }, legacy, 'vf'));
    assert.ok(fits({ vlans: [5] }, { ...legacy, vlan: 5 }, 'vf'));
    assert.ok(fits({}, legacy), 'a pod of type normal of that network is untagged');
  });

  it('take the node’s own database by either name of /run', () => {
    assert.ok(fits({}, { ovsdb: 'unix:/run/db' }));
    assert.ok(!fits({}, { ovsdb: 'unix:/run/other' }));
    assert.ok(fits({ ovsdb: ['tcp:192.0.2.1:6640'] }, { ovsdb: 'tcp:192.0.2.1:6640' }));
  });

  it('can have the node’s hooks run for networks that do not ask, or forbid them', () => {
    assert.equal(hold({ hooks: 'always' }, {}).hooks, true);
    assert.equal(hold({}, {}).hooks, false);
    assert.ok(!fits({ hooks: 'never' }, { hooks: true }));
  });

  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ vlans: ['5-3'] }, /is not a range of VLANs/],
    [{ vlans: ['0-9'] }, /is not a range of VLANs/],
    [{ vlans: [4095] }, /4094/],
    [{ mtu: { min: 2000, max: 1500 } }, /min above its max/],
    [{ bridges: [] }, /bridges/],
  ];
  for (const [more, sentence] of wrong) {
    it(`are refused: ${JSON.stringify(more)}`, () => {
      const parsed = boundsShape.safeParse([{ namespaces: ['*'], bridges: ['br0'], ...more }]);
      assert.match(JSON.stringify(parsed.error?.issues), sentence);
    });
  }
});
