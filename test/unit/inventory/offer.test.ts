import { deepEqual, match, ok } from 'node:assert/strict';
import type { KernelFacts } from '../../../host/nic/nics.ts';
import { scanNics } from '../../../host/nic/nics.ts';
import { parseConfig } from '../../../inventory/config/config.ts';
import { numaNodes } from '../../../inventory/config/numa.ts';
import { type Machine, makeOffer } from '../../../inventory/offer/offer.ts';
import { ice, igb, mlx5, nfp } from '../../support/nic-trees.ts';
import { answering, makeTree, type TreePf } from '../../support/sysfs-tree.ts';

async function machineOf(
  pfs: readonly TreePf[],
  facts: Partial<KernelFacts> = {},
  held: Machine['held'] = new Map(),
): Promise<Machine> {
  using tree = makeTree(...pfs);
  const { vfs } = await scanNics(tree.host, { ask: answering(facts), allocated: new Set(held.keys()) });
  return {
    vfs,
    sockets: new Map([
      [0, [0, 1]],
      [1, [0, 1]],
    ]),
    held,
  };
}

/** The resulting resources as text: a line each, its VFs after the colon. */
function offer(text: string, machine: Machine): readonly string[] {
  return makeOffer(parseConfig('pools.yaml', text), machine).resources.map(({ name, units }) =>
    `${name}: ${units.map(({ id, vf }) => (vf === undefined ? id : id.slice(5))).join(' ')}`.trim(),
  );
}

function one(selectors: string, more = ''): string {
  return `pools: [{ name: a, vnicType: direct, selectors: ${selectors}${more} }]`;
}

const everything = [nfp(2), mlx5(0, 2), mlx5(1, 2), igb({ vfs: 2 }), ice(1)];
const facts = {
  hwTcOffload: new Map([
    ['ens1f0np0', true],
    ['ens1f1np1', false],
  ]),
};

/** Selectors and the VFs of `everything` that they take. */
const table: readonly (readonly [string, string])[] = [
  ['[{ vendors: ["19ee"] }]', '04:08.0 04:08.1'],
  ['[{ vendors: ["19EE", "8086"] }]', '04:08.0 04:08.1 41:10.0 41:10.2 b1:08.0'],
  ['[{ vendors: ["8086"], devices: ["1889"] }]', 'b1:08.0'],
  ['[{ drivers: [igbvf] }, { devices: ["1889"] }]', '41:10.0 41:10.2 b1:08.0'],
  ['[{ pciAddresses: ["3b:01.1", "0000:41:10.0"] }]', '3b:01.1 41:10.0'],
  ['[{ pfNames: [ens1f0np0] }]', '3b:01.0 3b:01.1'],
  ['[{ pfNames: ["ens1f0np0#0", "ens1f0np0#1", "ens1f1np1#1-5"] }]', '3b:01.0 3b:01.1 3b:02.1'],
  ['[{ pfNames: [ens1f0] }]', ''], // a name's beginning is not the name
  ['[{ pfNames: [enp4s0np0] }]', '04:08.0 04:08.1'],
  ['[{ rootDevices: ["0000:3b:00.1#0", "0000:04:00.0"] }]', '04:08.0 04:08.1 3b:02.0'],
  ['[{ linkTypes: [infiniband] }]', ''],
  ['[{ linkTypes: [ether], devices: ["1889"] }]', 'b1:08.0'],
  ['[{ eswitchMode: legacy }]', '41:10.0 41:10.2 b1:08.0'],
  ['[{ eswitchMode: switchdev, vendors: ["15b3"] }]', '3b:01.0 3b:01.1 3b:02.0 3b:02.1'],
  ['[{ capabilities: [hw-tc-offload] }]', '3b:01.0 3b:01.1'],
  ['[{ capabilities: [representor] }]', '04:08.0 04:08.1 3b:01.0 3b:01.1 3b:02.0 3b:02.1'],
  ['[{ capabilities: [iommu], eswitchMode: legacy }]', '41:10.0 41:10.2'],
];

describe('selectors', () => {
  let machine: Machine;
  before(async () => {
    machine = await machineOf(everything, facts);
  });

  for (const [selectors, vfs] of table) {
    it(`${selectors} take ${vfs === '' ? 'nothing' : vfs}`, () => {
      deepEqual(offer(one(selectors), machine), [`smartnic.io/direct: ${vfs}`.trim()]);
    });
  }

  it('of a resource without any vf leave the resource there, empty', () => {
    deepEqual(offer(one('[{ vendors: ["ffff"] }]'), machine), ['smartnic.io/direct:']);
  });

  it('tell InfiniBand from Ethernet by what the uplink is', async () => {
    using tree = makeTree(mlx5(0, 1), igb({ vfs: 1 }));
    tree.write('/sys/class/net/ens1f0np0/type', '32');
    const nics = await scanNics(tree.host, { ask: answering(), allocated: new Set() });
    const infiniband = { vfs: nics.vfs, sockets: new Map(), held: new Map() };
    deepEqual(offer(one('[{ linkTypes: [infiniband] }]'), infiniband), ['smartnic.io/direct: 3b:01.0']);
    deepEqual(offer(one('[{ linkTypes: [ether] }]'), infiniband), ['smartnic.io/direct: 41:10.0']);
  });

  it('tell two pfs of the same name pattern apart', async () => {
    const twins = await machineOf([igb({ bus: '41', vfs: 1, netdev: 'ens1' }), igb({ bus: '42', vfs: 1, netdev: 'ens11' })]);
    deepEqual(offer(one('[{ pfNames: [ens1] }]'), twins), ['smartnic.io/direct: 41:10.0']);
  });
});

describe('pools', () => {
  it('of both vnic types offer the same vfs twice', async () => {
    const text = 'pools: [{ name: a, vnicType: [direct, virtio-forwarder], selectors: [{ vendors: ["8086"] }] }]';
    deepEqual(offer(text, await machineOf([igb({ vfs: 2 })])), [
      'smartnic.io/direct: 41:10.0 41:10.2',
      'smartnic.io/virtio-forwarder: 41:10.0 41:10.2',
    ]);
  });

  it('do not offer what the host uses', async () => {
    const machine = await machineOf([igb({ vfs: 2 })], { addresses: new Map([['enp65s0v0', ['10.0.0.1/24']]]) });
    deepEqual(offer(one('[{ vendors: ["8086"] }]'), machine), ['smartnic.io/direct: 41:10.2']);
  });

  it('keep a vf that a pod has, whatever its driver is meanwhile', async () => {
    const [pf] = [igb({ vfs: 2 })];
    const bound = { ...pf, vfs: (pf.vfs ?? []).map(({ netdev: _, ...vf }) => ({ ...vf, driver: 'vfio-pci' })) };
    const held = new Map([['0000:41:10.0', 'smartnic.io/direct']]);
    deepEqual(offer(one('[{ drivers: [igbvf] }]'), await machineOf([bound], {}, held)), ['smartnic.io/direct: 41:10.0']);
  });

  it('that both take a vf are told apart: the first has it, and both lines are named', async () => {
    const text = [
      'pools:',
      '  - { name: a, vnicType: direct, resourceName: a, selectors: [{ drivers: [igbvf] }] }',
      '  - { name: b, vnicType: direct, resourceName: b, selectors: [{ vendors: ["8086"] }] }',
    ].join('\n');
    const machine = await machineOf([igb({ vfs: 1 }), ice(1)]);
    deepEqual(offer(text, machine), ['smartnic.io/a: 41:10.0', 'smartnic.io/b: b1:08.0']);
    const { conflicts } = makeOffer(parseConfig('pools.yaml', text), machine);
    match(conflicts.join('\n'), /^VF 0000:41:10\.0 \(vf 0 of enp65s0\) fits pool a \(line 2\) and b \(line 3\)/);
    ok(conflicts.length === 1);
  });
});

describe("an entry of an imported configuration that can't be had here", () => {
  const entry = (resourceName: string, selectors: object) => ({ resourceName, resourcePrefix: 'x.io', selectors });
  const offered = async (...entries: readonly object[]) =>
    offer(JSON.stringify({ resourceList: entries }), await machineOf([igb({ vfs: 2 }), ice(1)]));

  it('keeps its VFs from later ones, which would not have them in their own plugin either', async () => {
    const rdma = entry('rdma', { pfNames: ['enp65s0#0'], isRdma: true });
    deepEqual(await offered(rdma, entry('rest', { vendors: ['8086'] })), ['x.io/rest: 41:10.2 b1:08.0']);
    deepEqual(await offered(entry('rest', { vendors: ['8086'] }), rdma), ['x.io/rest: 41:10.0 41:10.2 b1:08.0']);
  });

  it('does so for a selector without any condition, and for drivers that are not served', async () => {
    deepEqual(await offered(entry('all', {}), entry('rest', { vendors: ['8086'] })), ['x.io/rest:']);
    const uio = entry('uio', { drivers: ['igb_uio'], pfNames: ['enp65s0'] });
    deepEqual(await offered(uio, entry('rest', { vendors: ['8086'] })), ['x.io/rest: 41:10.0 41:10.2 b1:08.0']);
  });

  it('causes no conflict', async () => {
    const text = JSON.stringify({
      resourceList: [entry('a', { vendors: ['8086'], isRdma: true }), entry('b', { drivers: ['igbvf'] })],
    });
    deepEqual(makeOffer(parseConfig('pools.yaml', text), await machineOf([igb({ vfs: 2 })])).conflicts, []);
  });

  it('finds its PF whatever the case of its name, as that plugin does', async () => {
    deepEqual(await offered(entry('a', { pfNames: ['ENP65S0#1'] })), ['x.io/a: 41:10.2']);
  });
});

describe('numaPolicy', () => {
  const sockets = new Map([
    [0, [0, 1]],
    [1, [0, 1]],
  ]);
  const policies: readonly (readonly [Parameters<typeof numaNodes>[0], number | undefined, readonly number[] | undefined])[] = [
    ['required', 1, [1]],
    ['required', undefined, undefined],
    ['socket', 1, [0, 1]],
    ['socket', 7, undefined],
    ['socket', undefined, undefined],
    ['preferred', 1, [1]],
    ['preferred', undefined, []],
    ['none', 1, []],
    ['none', undefined, []],
  ];
  for (const [policy, node, told] of policies) {
    it(`${policy} with node ${node ?? '-1'} ${told === undefined ? 'keeps the vf back' : `tells ${JSON.stringify(told)}`}`, () => {
      deepEqual(numaNodes(policy, node, sockets), told);
    });
  }

  it('reaches the units', async () => {
    const units = (text: string, machine: Machine) =>
      makeOffer(parseConfig('pools.yaml', text), machine).resources.flatMap((resource) =>
        resource.units.map((unit) => unit.numaNodes),
      );
    const machine = await machineOf([mlx5(0, 1), igb({ vfs: 1 })]);
    deepEqual(units(one('[{ vendors: ["15b3", "8086"] }]', ', numaPolicy: socket'), machine), [[0, 1]]);
    deepEqual(units(one('[{ vendors: ["15b3", "8086"] }]', ', numaPolicy: preferred'), machine), [[1], []]);
  });
});

describe('a pool of slots', () => {
  it('has as many slots as it says, and those that pods still have when there are to be fewer', () => {
    const pool = (slots: number) => `pools: [{ name: ovs, vnicType: virtio-forwarder, slots: ${slots} }]`;
    const machine = { vfs: [], sockets: new Map(), held: new Map([['ovs-2', 'smartnic.io/virtio-forwarder']]) };
    deepEqual(offer(pool(4), machine), ['smartnic.io/virtio-forwarder: ovs-0 ovs-1 ovs-2 ovs-3']);
    deepEqual(offer(pool(1), machine), ['smartnic.io/virtio-forwarder: ovs-0 ovs-2']);
  });
});
