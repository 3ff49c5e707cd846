import { deepEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import { findRepresentor, parsePortName, type SwitchPort } from '../../../../host/nic/representor.ts';

const shapes = [
  ['p0', { kind: 'physical', port: 0 }],
  ['p12', { kind: 'physical', port: 12 }],
  ['p0s1', { kind: 'physical', port: 0, split: 1 }],
  ['pf0', { kind: 'pf', pf: 0 }],
  ['pf1s3', { kind: 'pf', pf: 1, split: 3 }],
  ['c1pf0', { kind: 'pf', controller: 1, pf: 0 }],
  ['pf0vf3', { kind: 'vf', pf: 0, vf: 3 }],
  ['pf1vf127', { kind: 'vf', pf: 1, vf: 127 }],
  ['c1pf0vf3', { kind: 'vf', controller: 1, pf: 0, vf: 3 }],
  ['p0pf0vf3', { kind: 'vf', pf: 0, vf: 3 }],
  ['p1pf1vf12', { kind: 'vf', pf: 1, vf: 12 }],
  ['pf0vfr3', { kind: 'vf', pf: 0, vf: 3 }],
  ['pf0sf88', { kind: 'sf', pf: 0, sf: 88 }],
  ['c2pf0sf88', { kind: 'sf', controller: 2, pf: 0, sf: 88 }],
  ['3', { kind: 'vf', vf: 3 }],
  ['n0', { kind: 'vnic', vnic: 0 }],
  ['', { kind: 'other', text: '' }],
  ['pf0vf', { kind: 'other', text: 'pf0vf' }],
  ['p0vf3', { kind: 'other', text: 'p0vf3' }],
  ['vf3', { kind: 'other', text: 'vf3' }],
  ['xpf0vf3', { kind: 'other', text: 'xpf0vf3' }],
  ['pf0vf3x', { kind: 'other', text: 'pf0vf3x' }],
] as const;

describe('phys_port_name', () => {
  for (const [text, expected] of shapes) {
    it(`${text === '' ? 'nothing' : text} is ${JSON.stringify(expected)}`, () => deepEqual(parsePortName(text), expected));
  }

  it('of any text gives a record', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof parsePortName(text).kind === 'string'));
  });
});

const pf = '0000:3b:00.0';
const switchId = 'aa';

function port(netdev: string, name: string, more: Partial<SwitchPort> = {}): SwitchPort {
  return { netdev, switchId, name: parsePortName(name), devlink: false, parent: pf, ...more };
}

describe('a representor', () => {
  it('is the port of the vf with that number, whatever it is called', () => {
    const ports = [port('vf3', 'pf0vf1'), port('eth7', 'pf0vf3'), port('up', 'p0')];
    equal(findRepresentor({ pf, switchId, index: 3 }, ports), 'eth7');
  });

  it('is of the own pf when two pfs share a switch', () => {
    const ports = [port('a', 'pf0vf3'), port('b', 'pf1vf3', { parent: '0000:3b:00.1' })];
    equal(findRepresentor({ pf, switchId, index: 3 }, ports), 'a');
    equal(findRepresentor({ pf: '0000:3b:00.1', switchId, index: 3 }, ports), 'b');
  });

  it('is told by the pf number when the driver names no parent', () => {
    const ports = ['pf0vf3', 'pf1vf3'].map((name) => ({ netdev: name, switchId, name: parsePortName(name), devlink: false }));
    equal(findRepresentor({ pf: '0000:3b:00.1', switchId, index: 3 }, ports), 'pf1vf3');
  });

  it('is never on another switch', () => {
    equal(findRepresentor({ pf, switchId, index: 3 }, [port('x', 'pf0vf3', { switchId: 'bb' })]), undefined);
  });

  it('is never that of another controller: a DPU shows the ports of the host it serves', () => {
    const ports = [port('theirs', 'c1pf0vf3'), port('ours', 'c0pf0vf3')];
    equal(findRepresentor({ pf, switchId, index: 3 }, ports), 'ours');
    equal(findRepresentor({ pf, switchId, index: 3 }, ports.slice(0, 1)), undefined);
  });

  it('is never a pf, a subfunction or a physical port of the same number', () => {
    const ports = ['p3', 'pf3', 'pf0sf3', 'n3'].map((name) => port(name, name));
    equal(findRepresentor({ pf, switchId, index: 3 }, ports), undefined);
  });

  it('is what devlink says when devlink and the port name differ', () => {
    const ports = [port('named', 'pf0vf3'), port('told', 'p9', { devlink: true, name: { kind: 'vf', pf: 0, vf: 3 } })];
    equal(findRepresentor({ pf, switchId, index: 3 }, ports), 'told');
  });

  it('is the bare number of an old kernel', () => {
    equal(findRepresentor({ pf, switchId, index: 3 }, [port('old', '3'), port('two', '2')]), 'old');
  });

  const orphan = (netdev: string, name: string): SwitchPort => ({
    netdev,
    switchId,
    name: parsePortName(name),
    devlink: false,
  });

  it("is the bare number of a driver that names no parent, when the switch is this PF's alone", () => {
    equal(findRepresentor({ pf, switchId, index: 3 }, [port('up', ''), orphan('old', '3'), orphan('two', '2')]), 'old');
  });

  it('is nothing for a bare number on a switch of two PFs, of one slot or of two', () => {
    for (const other of ['0000:3b:00.1', '0000:86:00.0']) {
      const ports = [port('up', 'p0'), port('up2', 'p1', { parent: other }), orphan('whose', '3')];
      for (const each of [pf, other]) equal(findRepresentor({ pf: each, switchId, index: 3 }, ports), undefined);
    }
  });

  it('is the own one or nothing on a NIC in two sockets, where both PFs are function 0', () => {
    const other = '0000:86:00.0';
    const uplinks = [port('up', 'p0'), port('up2', 'p1', { parent: other })];
    const own = port('own', 'pf0vf3');
    equal(findRepresentor({ pf, switchId, index: 3 }, [...uplinks, own]), 'own');
    equal(findRepresentor({ pf: other, switchId, index: 3 }, [...uplinks, own]), undefined, "the other PF's");
    equal(findRepresentor({ pf: other, switchId, index: 3 }, [...uplinks, orphan('whose', 'pf0vf3')]), undefined);
    equal(findRepresentor({ pf: other, switchId, index: 3 }, [...uplinks, own, port('b', 'pf1vf3', { parent: other })]), 'b');
  });

  it('is nothing when two ports fit equally', () => {
    const ports = [port('a', 'pf0vf3'), port('b', 'pf0vf3')];
    equal(findRepresentor({ pf, switchId, index: 3 }, ports), undefined);
  });

  it('is found where the switch has no id, by the pf it belongs to', () => {
    const { switchId: _, ...told } = port('told', '', { devlink: true, name: { kind: 'vf', pf: 0, vf: 3 } });
    equal(findRepresentor({ pf, index: 3 }, [told]), 'told');
  });
});
