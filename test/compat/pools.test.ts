// The SR-IOV network device plugin's config.json, as its documentation and its users have it (rewritten): which pools it becomes, and what is said of it.
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { parseConfig } from '../../inventory/config/config.ts';
import { codeIn, rowsOf, sectionOf } from '../support/pages.ts';

interface Example {
  readonly what: string;
  readonly list: readonly object[];
  /** A line for each pool: its resource, its driver, its NUMA policy. */
  readonly pools: readonly string[];
  readonly said?: readonly RegExp[];
}

const prefix = { resourcePrefix: 'example.com' };
const examples: readonly Example[] = [
  {
    what: 'two kinds of NIC by vendor, device and driver',
    list: [
      {
        ...prefix,
        resourceName: 'netdevice',
        selectors: { vendors: ['8086'], devices: ['154c', '10ed'], drivers: ['i40evf', 'iavf', 'ixgbevf'] },
      },
      {
        ...prefix,
        resourceName: 'dpdk',
        selectors: [{ vendors: ['8086'], devices: ['154c'], drivers: ['vfio-pci'], pfNames: ['enp0s0f0', 'enp2s2f1'] }],
      },
    ],
    pools: ['example.com/netdevice kernel preferred', 'example.com/dpdk vfio-pci preferred'],
  },
  {
    what: 'VFs of a PF by their numbers, shared out among two pools',
    list: [
      { ...prefix, resourceName: 'low', selectors: { drivers: ['iavf'], pfNames: ['ens801f0#0-3,8'] } },
      { ...prefix, resourceName: 'high', selectors: { drivers: ['iavf'], rootDevices: ['0000:86:00.0#4-7'] } },
    ],
    pools: ['example.com/low kernel preferred', 'example.com/high kernel preferred'],
  },
  {
    what: 'alternatives in one pool, without NUMA',
    list: [
      {
        ...prefix,
        resourceName: 'any',
        excludeTopology: true,
        selectors: [{ drivers: ['mlx5_core'], vendors: ['15b3'] }, { drivers: ['iavf'] }],
      },
    ],
    pools: ['example.com/any kernel none'],
  },
  {
    what: 'RDMA beside plain VFs of the same PF',
    list: [
      { ...prefix, resourceName: 'rdma', selectors: { vendors: ['15b3'], pfNames: ['ens1f0#0-3'], isRdma: true } },
      { ...prefix, resourceName: 'plain', selectors: { vendors: ['15b3'], drivers: ['mlx5_core'] } },
    ],
    pools: ['(left out)', 'example.com/plain kernel preferred'],
    said: [/rdma: a selector is left out, because isRdma is not known here.*kept from later pools/, /rdma: left out/],
  },
  {
    what: 'vDPA, DDP profiles and InfiniBand keys',
    list: [
      { ...prefix, resourceName: 'vdpa', selectors: { vendors: ['15b3'], vdpaType: 'vhost' } },
      { ...prefix, resourceName: 'gtp', selectors: { vendors: ['8086'], ddpProfiles: ['GTPv1-C/U IPv4/IPv6 payload'] } },
      { ...prefix, resourceName: 'ib', selectors: { vendors: ['15b3'], pKeys: ['0x7fff'] } },
    ],
    pools: ['(left out)', '(left out)', '(left out)'],
    said: [/vdpaType is not known here/, /ddpProfiles is not known here/, /pKeys is not known here/],
  },
  {
    what: 'accelerators and subfunctions',
    list: [
      { ...prefix, resourceName: 'fec', deviceType: 'accelerator', selectors: { vendors: ['8086'], devices: ['0d90'] } },
      { ...prefix, resourceName: 'sf', deviceType: 'auxNetDevice', selectors: [{ vendors: ['15b3'], auxTypes: ['sf'] }] },
    ],
    pools: [],
    said: [/deviceType "accelerator" is not offered here/, /deviceType "auxNetDevice" is not offered here/],
  },
  {
    what: 'VFs in a virtual machine: virtio, by address',
    list: [
      {
        ...prefix,
        resourceName: 'virtio',
        selectors: { vendors: ['1af4'], pciAddresses: ['0000:00:05.0'], drivers: ['vfio-pci'] },
      },
    ],
    pools: ['example.com/virtio vfio-pci preferred'],
  },
  {
    what: 'DPDK by igb_uio',
    list: [
      {
        ...prefix,
        resourceName: 'old-dpdk',
        selectors: { vendors: ['8086'], drivers: ['igb_uio', 'uio_pci_generic', 'vfio-pci'] },
      },
    ],
    pools: ['example.com/old-dpdk vfio-pci preferred'],
    said: [/igb_uio and uio_pci_generic is not served here; bind these VFs to vfio-pci/],
  },
  {
    what: 'what the network operator writes',
    list: [
      {
        resourceName: 'mlxnics',
        deviceType: '',
        selectors: { vendors: ['15b3'], IsRdma: false, NeedVhostNet: false, drivers: ['mlx5_core'] },
        SelectorObjs: null,
      },
    ],
    pools: ['intel.com/mlxnics kernel preferred'],
    said: [/has no resourcePrefix, so it is intel\.com\/mlxnics/],
  },
  {
    what: 'vhost-net and information of its own',
    list: [
      {
        ...prefix,
        resourceName: 'vhost',
        additionalInfo: { '*': { token: 'x' } },
        selectors: { vendors: ['15b3'], drivers: ['mlx5_core'], needVhostNet: true },
      },
    ],
    pools: ['example.com/vhost kernel preferred'],
    said: [/needVhostNet is ignored/, /additionalInfo is ignored/],
  },
];

describe('a config.json of the SR-IOV network device plugin', () => {
  for (const { what, list, pools, said = [] } of examples)
    it(`with ${what}`, () => {
      const config = parseConfig('/etc/smartnic/config.json', JSON.stringify({ resourceList: list }));
      deepEqual(
        config.pools.map(({ resources, driver, numaPolicy }) =>
          resources.length === 0 ? '(left out)' : `${resources.map(({ name }) => name).join()} ${driver} ${numaPolicy}`,
        ),
        pools,
      );
      for (const words of said) match(config.warnings.join('\n'), words);
      if (said.length === 0) deepEqual(config.warnings, []);
    });

  it('has no key in docs/coming-from.md that is unknown here', () => {
    const keys = rowsOf(sectionOf('docs/coming-from.md', '## The SR-IOV network device plugin')).flatMap(([there = '']) =>
      codeIn(there),
    );
    ok(keys.length > 15);
    const top = ['resourceName', 'resourcePrefix', 'selectors', 'excludeTopology', 'deviceType', 'additionalInfo'];
    const selectors = Object.fromEntries(keys.filter((key) => !top.includes(key)).map((key) => [key, ['x']]));
    const entry = Object.fromEntries(top.map((key) => [key, key === 'selectors' ? selectors : key === 'excludeTopology']));
    const text = JSON.stringify({ resourceList: [{ ...entry, resourceName: 'a', resourcePrefix: 'x.io', deviceType: '' }] });
    equal(parseConfig('f', text).warnings.filter((line) => line.includes('unknown')).length, 0);
  });
});
