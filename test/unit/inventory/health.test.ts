import { deepEqual, equal, match } from 'node:assert/strict';
import fc from 'fast-check';
import { parsePciAddress } from '../../../host/base/pci-address.ts';
import type { Nics } from '../../../host/nic/nics.ts';
import type { Pf, Vf } from '../../../host/nic/vf.ts';
import { parseConfig } from '../../../inventory/config/config.ts';
import { type HealthState, healthAtStart, judge, type Present, patience } from '../../../inventory/health/health.ts';
import type { Facts } from '../../../inventory/health/reasons.ts';
import { makeOffer } from '../../../inventory/offer/offer.ts';

const pf: Pf = {
  address: parsePciAddress('0000:41:00.0'),
  vendor: '8086',
  device: '10c9',
  numVfs: 2,
  totalVfs: 7,
  netdev: 'ens1',
  eswitchMode: 'legacy',
};

function vf(index: number, more: Partial<Vf> = {}): Vf {
  const address = parsePciAddress(`0000:41:10.${index}`);
  const iommuGroup = { id: 10 + index, noiommu: false, members: [address] };
  return { address, pf, index, vendor: '8086', device: '10ca', driver: 'igbvf', iommuGroup, inUse: [], ...more };
}

const well: Facts = { quarantined: new Map(), bridges: new Set(['br-int']), forwardersDown: new Map(), unread: [] };
const text = `pools:
  - { name: a, vnicType: [direct, virtio-forwarder], bridge: br-int, forwarder: /run/fwd, selectors: [{ vendors: ["8086"] }] }
  - { name: k, vnicType: direct, resourceName: kernel, driver: kernel, selectors: [{ vendors: ["15b3"] }] }`;
const config = parseConfig('pools.yaml', text);

interface Now {
  readonly vfs: readonly Vf[];
  readonly pfs?: Nics['pfs'];
  readonly held?: Present['held'];
  readonly facts?: Partial<Facts>;
  readonly now?: number;
}

function step(state: HealthState, { vfs, pfs = [pf], held = new Map(), facts = {}, now = 0 }: Now) {
  const { resources: offered } = makeOffer(config, { vfs, sockets: new Map(), held });
  return judge(state, { offered, pools: config.pools, nics: { pfs, vfs, unread: [] }, held, facts: { ...well, ...facts }, now });
}

/** `direct 10.0 vf-gone+pf-gone, kernel 10.1 ok` */
function told({ resources }: ReturnType<typeof judge>): readonly string[] {
  return resources.flatMap(({ name, units }) =>
    units.map(
      (unit) => `${name.slice(12)} ${unit.id.slice(8)} ${unit.problems.map((one) => one.split(':')[0]).join('+') || 'ok'}`,
    ),
  );
}

const held = new Map([['0000:41:10.0', 'smartnic.io/direct']]);

describe('a unit that nobody has', () => {
  const cases: Readonly<Record<string, readonly [Now, readonly string[]]>> = {
    'is healthy when nothing is wrong': [{ vfs: [vf(0)] }, ['direct 10.0 ok', 'virtio-forwarder 10.0 ok']],
    'is quarantined in every resource': [
      { vfs: [vf(0)], facts: { quarantined: new Map([['0000:41:10.0', 'FLR timed out']]) } },
      ['direct 10.0 quarantined', 'virtio-forwarder 10.0 quarantined'],
    ],
    'must not share its IOMMU group': [
      { vfs: [vf(0, { iommuGroup: { id: 9, noiommu: false, members: ['0000:41:10.0', '0000:41:10.1'] } })] },
      ['direct 10.0 iommu-group-shared', 'virtio-forwarder 10.0 iommu-group-shared'],
    ],
    'must not be bound to another user of its driver': [
      { vfs: [vf(0, { driver: 'igb_uio' })] },
      ['direct 10.0 driver-wrong', 'virtio-forwarder 10.0 ok'], // a forwarder can have it on uio
    ],
    'may be bound to vfio-pci or a variant of it already': [
      { vfs: [vf(0, { driver: 'mlx5-vfio-pci' }), vf(1, { driver: 'hisi_acc_vfio_pci' })] },
      ['direct 10.0 ok', 'direct 10.1 ok', 'virtio-forwarder 10.0 ok', 'virtio-forwarder 10.1 ok'],
    ],
    'needs its representor in switchdev mode': [
      { vfs: [vf(0, { pf: { ...pf, eswitchMode: 'switchdev' } })] },
      ['direct 10.0 representor-missing', 'virtio-forwarder 10.0 representor-missing'],
    ],
    "needs its pool's bridge": [
      { vfs: [vf(0)], facts: { bridges: new Set() } },
      ['direct 10.0 bridge-missing', 'virtio-forwarder 10.0 bridge-missing'],
    ],
    'needs the forwarder only to be forwarded': [
      { vfs: [vf(0)], facts: { forwardersDown: new Map([['/run/fwd', 'cannot connect']]) } },
      ['direct 10.0 ok', 'virtio-forwarder 10.0 forwarder-down'],
    ],
    'given away as a netdev needs one, and no IOMMU': [
      { vfs: [vf(0, { vendor: '15b3', driver: 'vfio-pci' }), withoutGroup(vf(1, { vendor: '15b3' }))] },
      ['kernel 10.0 driver-wrong', 'kernel 10.1 ok'],
    ],
    'is no netdev while it is at a variant of vfio, whatever that is called': [
      {
        vfs: [vf(0, { vendor: '15b3', driver: 'mlx5_vfio_pci' }), vf(1, { vendor: '15b3', driver: 'new', vfioDevice: 'vfio7' })],
      },
      ['kernel 10.0 driver-wrong', 'kernel 10.1 driver-wrong'],
    ],
    'is simply not listed when it is gone': [{ vfs: [] }, []],
  };
  for (const [what, [now, expected]] of Object.entries(cases))
    it(what, () => deepEqual(told(step(healthAtStart, now)), expected));

  it('without an IOMMU group can be granted to nobody, and says how to mend it', () => {
    const { resources } = step(healthAtStart, { vfs: [withoutGroup(vf(0))] });
    match(
      resources[0]?.units[0]?.problems[0] ?? '',
      /^iommu-group-missing: it is in no IOMMU group; switch the IOMMU on, or bind it to vfio-pci/,
    );
  });

  it('recovers at once', () => {
    const bad = step(healthAtStart, { vfs: [vf(0)], facts: { bridges: new Set() } });
    deepEqual(told(step(bad.state, { vfs: [vf(0)] })), ['direct 10.0 ok', 'virtio-forwarder 10.0 ok']);
  });
});

describe('a unit that a pod has', () => {
  const here = () => step(healthAtStart, { vfs: [vf(0)], held });

  it('is never unhealthy for what can recover, but what was found is told to people', () => {
    const bad = step(here().state, {
      vfs: [vf(0, { driver: 'igb_uio' })],
      held,
      facts: { bridges: new Set(), quarantined: new Map([['0000:41:10.0', 'x']]) },
    });
    deepEqual(told(bad), ['direct 10.0 ok', 'virtio-forwarder 10.0 ok']);
    deepEqual(
      bad.findings
        .filter(({ resource }) => resource === 'smartnic.io/direct')
        .map(({ reason, told: isTold }) => [reason, isTold]),
      [
        ['quarantined', false],
        ['driver-wrong', false],
        ['bridge-missing', false],
      ],
    );
  });

  it('stays listed and healthy while it is gone for less than the patience, then is vf-gone, then recovers', () => {
    let state = here().state;
    const look = (now: number, vfs: readonly Vf[]) => {
      const judged = step(state, { vfs, held, now });
      state = judged.state;
      return judged;
    };
    deepEqual(told(look(1000, [])), ['direct 10.0 ok']);
    const waiting = look(1000 + patience - 1, []);
    deepEqual(told(waiting), ['direct 10.0 ok']);
    equal(waiting.again, 1000 + patience);
    const gone = look(1000 + patience, []);
    deepEqual(told(gone), ['direct 10.0 vf-gone']);
    equal(gone.again, undefined);
    deepEqual(told(look(90_000, [vf(0)])), ['direct 10.0 ok', 'virtio-forwarder 10.0 ok']);
    deepEqual(told(look(90_001, [])), ['direct 10.0 ok']); // the patience begins anew
  });

  it('says that its pf is gone as well', () => {
    const first = step(here().state, { vfs: [], pfs: [], held });
    deepEqual(told(step(first.state, { vfs: [], pfs: [], held, now: patience })), ['direct 10.0 pf-gone+vf-gone']);
  });

  it('is forgotten when the pod gives back what is gone', () => {
    const first = step(here().state, { vfs: [], held });
    deepEqual(told(step(first.state, { vfs: [] })), []);
  });

  it('is never unhealthy through any sequence of flaps shorter than the patience', () => {
    const moment = fc.record({
      there: fc.boolean(),
      pfThere: fc.boolean(),
      bridge: fc.boolean(),
      driver: fc.constantFrom('igbvf', 'igb_uio', 'vfio-pci'),
    });
    fc.assert(
      fc.property(fc.array(moment, { maxLength: 30 }), (moments) => {
        let { state } = here();
        let now = 0;
        for (const { there, pfThere, bridge, driver } of moments) {
          // The VF is gone several times, each time for less than the limit.
          for (const vfs of there ? [[vf(0, { driver })]] : [[], [vf(0, { driver })]]) {
            now += patience - 1;
            const judged = step(state, { vfs, held, now, pfs: pfThere ? [pf] : [], facts: bridge ? {} : { bridges: new Set() } });
            state = judged.state;
            if (told(judged).some((line) => !line.endsWith(' ok'))) return false;
          }
        }
        return true;
      }),
    );
  });
});

function withoutGroup({ iommuGroup: _, ...rest }: Vf): Vf {
  return rest;
}
