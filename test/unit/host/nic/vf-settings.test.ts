// Giving a VF's settings back where its PF's driver refuses, or tells something else afterwards. The PF is a fake; its netdev is in a tree of files.
import assert from 'node:assert/strict';
import { pino } from 'pino';
import type { Netlinks } from '../../../../host/netlink/netlink.ts';
import { NetlinkError } from '../../../../host/netlink/wire/error.ts';
import {
  changeVf,
  findVfSettings,
  overwritten,
  restoreVf,
  type VfChange,
  type VfSettings,
} from '../../../../host/nic/vf-settings.ts';
import { igb } from '../../../support/nic-trees.ts';
import { makeTree } from '../../../support/sysfs-tree.ts';

const address = '0000:41:10.0';
const none = '00:00:00:00:00:00';
const pods = '02:00:00:00:00:01';
const EINVAL = 22;
const EOPNOTSUPP = 95;

interface FakePf {
  /** The errno with which the driver refuses a change. */
  readonly refuses?: (change: VfChange) => number | undefined;
  /** What it tells in place of what was set. */
  readonly tells?: (vf: VfSettings) => VfSettings;
  readonly tooMany?: true;
}

/** A machine with one PF that has one VF, with a pod's settings on it. */
function machineWith({ refuses = () => undefined, tells = (vf) => vf, tooMany }: FakePf) {
  const tree = makeTree(igb({ vfs: 1 }));
  let vf: VfSettings = {
    index: 0,
    mac: pods,
    vlan: { id: 7, qos: 0 },
    rate: { min: 0, max: 5 },
    linkState: 'enable',
    trust: true,
    spoofchk: false,
  };
  const fake = {
    link: async () => ({ index: 7, name: 'enp65s0', mac: '', mtu: 1500, up: true }),
    vfs: async () => (tooMany ? ('too many' as const) : [tells(vf)]),
    setVf: async (_pf: number, _vf: number, change: VfChange) => {
      const errno = refuses(change);
      if (errno !== undefined) throw new NetlinkError('set VF 0 of link 7', errno);
      vf = { ...vf, ...change };
    },
    [Symbol.dispose]: () => {},
  };
  const host = {
    root: tree.root,
    log: pino({ level: 'silent' }),
    step: () => {},
    netlink: (() => fake) as unknown as Netlinks['netlink'],
  };
  return { host, now: () => vf, [Symbol.dispose]: () => tree[Symbol.dispose]() };
}

describe('the MAC that a VF had before a pod (fake PF)', () => {
  it('is given back', async () => {
    using machine = machineWith({});
    await restoreVf(machine.host, address, { mac: '02:aa:00:00:00:01' });
    assert.equal(machine.now().mac, '02:aa:00:00:00:01');
  });

  it('was none: a driver that takes zeros has them, whatever it tells afterwards', async () => {
    using machine = machineWith({ tells: (vf) => ({ ...vf, mac: vf.mac === none ? '02:bb:00:00:00:01' : vf.mac }) });
    await restoreVf(machine.host, address, { mac: none });
    assert.equal(machine.now().mac, none);
  });

  it("was none: a driver that refuses zeros gets one at random, and the pod's does not stay", async () => {
    using machine = machineWith({ refuses: ({ mac }) => (mac === none ? EINVAL : undefined) });
    await restoreVf(machine.host, address, { mac: none });
    assert.match(machine.now().mac, /^02(:[0-9a-f]{2}){5}$/);
    assert.notEqual(machine.now().mac, pods);
  });

  it('that the driver does not take back costs no VF', async () => {
    using machine = machineWith({ refuses: ({ mac }) => (mac === undefined ? undefined : EINVAL) });
    await restoreVf(machine.host, address, { mac: '02:aa:00:00:00:01', trust: false });
    assert.deepEqual([machine.now().mac, machine.now().trust], [pods, false], 'and the rest is restored');
  });
});

describe('another setting that a VF had before a pod (fake PF)', () => {
  it('that the driver refuses costs the VF, because the next pod would have it', async () => {
    for (const [refused, words] of [
      ['trust', 'trust'],
      ['vlan', 'the VLAN'],
    ] as const) {
      using machine = machineWith({ refuses: (change) => (change[refused] === undefined ? undefined : EINVAL) });
      await assert.rejects(
        restoreVf(machine.host, address, { trust: false, vlan: { id: 0, qos: 0 } }),
        new RegExp(`set ${words} of VF 0 of PF 0000:41:00.0 \\(enp65s0\\): its driver refused`),
      );
    }
  });

  it('was no VLAN: a priority or protocol that is told without one is not set again', async () => {
    using machine = machineWith({
      tells: (vf) => ({ ...vf, vlan: { id: 0, qos: 0 } }),
      refuses: ({ vlan }) => (vlan === undefined ? undefined : EINVAL),
    });
    await restoreVf(machine.host, address, { vlan: { id: 0, qos: 3, protocol: '802.1ad' } });
  });

  it('was a link that follows its wire: a driver without such a state keeps the link up', async () => {
    using machine = machineWith({ refuses: ({ linkState }) => (linkState === 'auto' ? EOPNOTSUPP : undefined) });
    await restoreVf(machine.host, address, { linkState: 'auto' });
    assert.equal(machine.now().linkState, 'enable');
  });
});

describe('a PF with more VFs than the kernel tells of in one answer (fake PF)', () => {
  const wish: VfChange = { mac: '02:aa:00:00:00:02', trust: true, vlan: { id: 9, qos: 0 } };

  it('is set without reading back, and what it had before counts as nothing set', async () => {
    using machine = machineWith({ tooMany: true });
    const told = await findVfSettings(machine.host, address);
    assert.equal(told, 'untold');
    const before = overwritten('untold', wish);
    assert.deepEqual(before, { mac: none, trust: false, vlan: { id: 0, qos: 0 } });
    await changeVf(machine.host, address, wish);
    assert.deepEqual({ ...machine.now(), ...wish }, machine.now());
    await restoreVf(machine.host, address, before);
    assert.deepEqual({ ...machine.now(), ...before }, machine.now());
  });
});
