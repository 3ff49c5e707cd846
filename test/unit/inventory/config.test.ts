import { deepEqual, equal, ok, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../host/base/config-error.ts';
import { parseConfig } from '../../../inventory/config/config.ts';
import type { Config } from '../../../inventory/config/pool.ts';

const examples = join(import.meta.dirname, '../../../deploy/examples');

function parse(text: string): Config {
  return parseConfig('/etc/smartnic/pools.yaml', text);
}

/** What is said about a text, a line each. */
function problems(text: string): readonly string[] {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function pool(lines: string, selectors = '[{ vendors: ["8086"] }]'): string {
  return `pools:\n  - name: a\n    vnicType: direct\n    selectors: ${selectors}\n${lines.replace(/^/gm, '    ')}`;
}

describe('a pool', () => {
  it('with nothing but its name, type and selectors has the documented defaults', () => {
    deepEqual(parse(pool('')).pools, [
      {
        name: 'a',
        line: 2,
        resources: [{ name: 'smartnic.io/direct', vnicType: 'direct' }],
        driver: 'vfio-pci',
        selectors: [{ vendors: ['8086'] }],
        numaPolicy: 'preferred',
        allocation: 'pack',
        cdi: false,
        vhost: { mode: 0o770, uid: 0, gid: 0 },
      },
    ]);
  });

  it('of both types offers two resources under names of its own', () => {
    const text = pool('resourceName: { direct: fast, virtio-forwarder: fast-virtio }\nresourcePrefix: example.com').replace(
      'vnicType: direct',
      'vnicType: [direct, virtio-forwarder]',
    );
    deepEqual(
      parse(text).pools[0]?.resources.map(({ name }) => name),
      ['example.com/fast', 'example.com/fast-virtio'],
    );
  });

  it('reads ranges, ids and addresses in every spelling people use', () => {
    const text = pool(
      '',
      '[{ vendors: ["0x8086", "15B3"], pciAddresses: ["3B:02.6"], pfNames: ["eth0#0-2,5", eth1], rootDevices: ["0000:86:00.0#7"] }]',
    );
    deepEqual(parse(text).pools[0]?.selectors, [
      {
        vendors: ['8086', '15b3'],
        pciAddresses: ['0000:3b:02.6'],
        pfNames: [{ pf: 'eth0', numbers: new Set([0, 1, 2, 5]) }, { pf: 'eth1' }],
        rootDevices: [{ pf: '0000:86:00.0', numbers: new Set([7]) }],
      },
    ]);
  });

  it('may be missing altogether: such a cluster has no SmartNICs', () => {
    deepEqual(parse('pools: []').pools, []);
  });
});

const broken: Readonly<Record<string, readonly [string, readonly string[]]>> = {
  'no YAML': ['pools: [', ['pools.yaml:1: ']],
  'a duplicate key': ['pools: []\npools: []', ['pools.yaml:2: Map keys must be unique; take one of the two out']],
  'a second document': ['pools: []\n---\npools: []', ['pools.yaml:2: a second document begins here; the file must be one']],
  'blank lines first and all of it indented': [
    '\n\n  pools:\n\n    - name: a\n      vnicTyp: direct\n      selectors: [{ vendors: ["8086"] }]\n',
    ['pools.yaml:5: pools.0.vnicType: is missing; add it', 'pools.yaml:6: unknown key "vnicTyp" in pools.0'],
  ],
  'blank lines, a mark of the document and values on lines of their own': [
    '\n\n---\n\npools:\n\n  -\n    name: a\n\n    vnicType: direct\n    selectors:\n      -\n        vendors: [8086]\n',
    ['pools.yaml:13: pools.0.selectors.0.vendors.0: 8086 is a number to YAML'],
  ],
  'a driver whose VFs no pod can get': [
    pool('', '[{ drivers: [igb_uio] }]'),
    ['pools.yaml:4: pools.0.selectors.0.drivers.0: "igb_uio" is a driver whose VFs no pod can get; bind these VFs to vfio-pci'],
  ],
  'an unknown key at the top': ['pools: []\npoools: 3', ['pools.yaml:2: unknown key "poools"']],
  'an unknown key in a pool': [pool('numa: x'), ['pools.yaml:5: unknown key "numa" in pools.0']],
  'an unknown selector': [pool('', '\n      - vendor: ["8086"]'), ['pools.yaml:5: unknown key "vendor" in pools.0.selectors.0']],
  'neither selectors nor slots': [
    'pools:\n  - name: a\n    vnicType: direct',
    [
      'pools.yaml:2: pools.0: {"name":"a","vnicType":"direct"} has neither selectors nor slots; write which VFs it offers, or how many slots',
    ],
  ],
  'slots with selectors': [
    pool('slots: 4').replace('direct', 'virtio-forwarder'),
    ['pools.yaml:4: pools.0.selectors: [{"vendors":["8086"]}] is for VFs, and a pool with slots has none; take it out'],
  ],
  'slots of direct': [
    'pools:\n  - name: a\n    vnicType: [direct, virtio-forwarder]\n    slots: 4',
    [
      'pools.yaml:3: pools.0.vnicType: ["direct","virtio-forwarder"] has direct, which gives VFs away, and slots are none; write virtio-forwarder',
    ],
  ],
  'a number of slots that is none': [
    'pools:\n  - name: a\n    vnicType: virtio-forwarder\n    slots: 0',
    ['pools.yaml:4: pools.0.slots: 0'],
  ],
  'an empty list of selectors': [
    pool('', '[]'),
    ['pools.yaml:4: pools.0.selectors: [] is an empty list; name at least one value'],
  ],
  'an empty selector': [
    pool('', '[{}]'),
    ['pools.yaml:4: pools.0.selectors.0: {} is empty and would take every VF of the node; write at least one of vendors'],
  ],
  'an empty selector list': [pool('', '[{ drivers: [] }]'), ['pools.yaml:4: pools.0.selectors.0.drivers: [] is an empty list']],
  'an id without quotes': [
    pool('', '[{ vendors: [8086] }]'),
    ['pools.yaml:4: pools.0.selectors.0.vendors.0: 8086 is a number to YAML; put it in quotes'],
  ],
  'an id that is none': [
    pool('', '[{ devices: ["15b"] }]'),
    ['pools.yaml:4: pools.0.selectors.0.devices.0: "15b" is not an id of four hex digits; write it as lspci -nn does'],
  ],
  'an address that is none': [
    pool('', '[{ pciAddresses: ["3b:02"] }]'),
    ['pools.yaml:4: pools.0.selectors.0.pciAddresses.0: "3b:02" is not a PCI address; write it as lspci -D does: 0000:3b:02.6'],
  ],
  'a range backwards': [
    pool('', '[{ pfNames: ["eth0#3-1"] }]'),
    ['pools.yaml:4: pools.0.selectors.0.pfNames.0: "eth0#3-1" has the range 3-1, which ends before it begins; write 1-3'],
  ],
  'a range of words': [
    pool('', '[{ pfNames: ["eth0#a"] }]'),
    ['pools.yaml:4: pools.0.selectors.0.pfNames.0: "eth0#a" has the part "a" after the #, which is neither a number nor a range'],
  ],
  'a range without end': [
    pool('', '[{ pfNames: ["eth0#1-"] }]'),
    ['pools.yaml:4: pools.0.selectors.0.pfNames.0: "eth0#1-" has the part "1-"'],
  ],
  'a range too long': [
    pool('', '[{ pfNames: ["eth0#0-99999999"] }]'),
    ['pools.yaml:4: pools.0.selectors.0.pfNames.0: "eth0#0-99999999" has the VF number 99999999, but a PF has at most 65536 VFs'],
  ],
  'a range without a PF': [pool('', '[{ pfNames: ["#1"] }]'), ['pools.yaml:4: pools.0.selectors.0.pfNames.0: "#1" names no PF']],
  'a root device that is no address': [
    pool('', '[{ rootDevices: ["eth0#1"] }]'),
    ['pools.yaml:4: pools.0.selectors.0.rootDevices.0: "eth0#1" is not a PCI address'],
  ],
  'an unknown capability': [
    pool('', '[{ capabilities: [rdma] }]'),
    ['pools.yaml:4: pools.0.selectors.0.capabilities.0: "rdma" is not one of hw-tc-offload, representor, iommu'],
  ],
  'an unknown policy': [
    pool('numaPolicy: always'),
    ['pools.yaml:5: pools.0.numaPolicy: "always" is not one of required, socket, preferred, none'],
  ],
  'an unknown type': [
    pool('').replace('vnicType: direct', 'vnicType: normal'),
    ['pools.yaml:3: pools.0.vnicType: "normal" is not one of direct, virtio-forwarder'],
  ],
  'a mode without quotes': [
    pool('vhost: { mode: 0770 }'),
    ['pools.yaml:5: pools.0.vhost.mode: 770 is a number to YAML; put it in quotes'],
  ],
  'a mode that is none': [pool('vhost: { mode: "rwx" }'), ['pools.yaml:5: pools.0.vhost.mode: "rwx" is not a directory mode']],
  'a resource name kubelet refuses': [
    pool('resourceName: "a b"'),
    ['pools.yaml:5: pools.0.resourceName: "a b" is not a resource name kubelet takes'],
  ],
  'a resource name with its prefix': [
    pool('resourceName: x.io/a'),
    ['pools.yaml:5: pools.0.resourceName: "x.io/a" has a slash in it; write the part before it as resourcePrefix'],
  ],
  "Kubernetes' own domain": [
    pool('resourcePrefix: net.kubernetes.io'),
    ['pools.yaml:5: pools.0.resourcePrefix: "net.kubernetes.io" is Kubernetes\' own'],
  ],
  'a domain that is none': [
    `resourcePrefix: Smart_NIC\n${pool('')}`,
    ['pools.yaml:1: resourcePrefix: "Smart_NIC" is not a domain'],
  ],
  'one name for two types': [
    pool('resourceName: x').replace('vnicType: direct', 'vnicType: [direct, virtio-forwarder]'),
    [
      'pools.yaml:5: pools.0.resourceName: "x" is one name for several vnic types; write resourceName: { direct: x, virtio-forwarder: x-virtio }',
    ],
  ],
  'a name for a type it has not': [
    pool('resourceName: { virtio-forwarder: x }'),
    ['pools.yaml:5: pools.0.resourceName.virtio-forwarder: "x" names a vnic type that the pool does not have'],
  ],
  'a pool name with blanks': [
    pool('').replace('name: a', 'name: "a b"'),
    ['pools.yaml:2: pools.0.name: "a b" is not a pool name'],
  ],
  'a forwarder that is no path': [pool('forwarder: here'), ['pools.yaml:5: pools.0.forwarder: "here" is not an absolute path']],
  'a list where a map belongs': ['- name: a', ['pools.yaml:1: the document: ']],
  'no text at all': ['', ['pools.yaml:1: pools: is missing; add it']],
};

describe('a configuration with', () => {
  for (const [what, [text, expected]] of Object.entries(broken)) {
    it(`${what} is refused with file, line, key, value and remedy`, () => {
      const said = problems(text);
      equal(said.length, expected.length, said.join('\n'));
      for (const [at, words] of expected.entries()) ok(said[at]?.startsWith(words), `${said[at]}\nshould begin with\n${words}`);
    });
  }

  it('several mistakes names all of them at once', () => {
    deepEqual(
      problems(pool('numaPolicy: always\nallocation: most', '[{ vendors: ["1"] }]')).map((line) => line.slice(0, 14)),
      ['pools.yaml:4: ', 'pools.yaml:5: ', 'pools.yaml:6: '],
    );
  });

  it('an alias bomb is refused, not unfolded', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...'bcdefghi'.split('').map((name, at) => `${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[at]}`).join(',')}]`),
    ];
    throws(() => parse(bomb.join('\n')), ConfigError);
  });
});

const two = (first: string, second: string, names = ['x', 'y']) =>
  `pools:\n  - { name: a, vnicType: direct, resourceName: ${names[0]}, selectors: [${first}] }\n  - { name: b, vnicType: direct, resourceName: ${names[1]}, selectors: [${second}] }`;

describe('two pools', () => {
  const overlapping: readonly (readonly [string, string])[] = [
    ['{ vendors: ["8086"] }', '{ vendors: ["8086"] }'],
    ['{ vendors: ["8086", "15b3"] }', '{ vendors: ["8086"], drivers: [igbvf] }'],
    ['{ pfNames: ["eth0"] }', '{ pfNames: ["eth0#3"] }'],
    ['{ pfNames: ["eth0#0-3", "eth0#4-7"] }', '{ pfNames: ["eth0#2-5"], numaPolicy: x }'.replace(', numaPolicy: x', '')],
    ['{ capabilities: [iommu] }', '{ capabilities: [iommu, hw-tc-offload] }'],
    ['{ drivers: [a] }, { vendors: ["8086"] }', '{ vendors: ["8086"], eswitchMode: legacy }'],
  ];
  for (const [first, second] of overlapping) {
    it(`with ${first} and ${second} overlap on any machine, and both lines are named`, () => {
      for (const said of [problems(two(first, second)), problems(two(second, first))]) {
        equal(said.length, 1);
        ok(said[0]?.startsWith('pools.yaml:3: pool b overlaps pool a on line 2: '), said[0]);
      }
    });
  }

  const apart: readonly (readonly [string, string])[] = [
    ['{ vendors: ["8086"] }', '{ vendors: ["15b3"] }'],
    ['{ pfNames: ["eth0#0-3"] }', '{ pfNames: ["eth0#4-7"] }'],
    ['{ eswitchMode: legacy }', '{ eswitchMode: switchdev }'],
    ['{ drivers: [a] }', '{ vendors: ["8086"] }'], // only a machine can tell
  ];
  for (const [first, second] of apart) {
    it(`with ${first} and ${second} may stand side by side`, () => deepEqual(problems(two(first, second)), []));
  }

  it('may not have the same name, nor the same resource', () => {
    const [first, second] = apart[0] ?? ['', ''];
    const said = problems(two(first, second, ['x', 'x']).replace('name: b', 'name: a'));
    deepEqual(
      said.map((line) => line.split(';')[0]),
      [
        'pools.yaml:3: pool a is defined a second time, first on line 2',
        'pools.yaml:3: resource smartnic.io/x is defined a second time, first on line 2',
      ],
    );
  });
});

describe("the SR-IOV device plugin's config.json", () => {
  const json = (...pools: readonly object[]) => JSON.stringify({ resourceList: pools }, undefined, 2);
  const selectors = { vendors: ['8086'], drivers: ['vfio-pci'] };

  it('is taken as it is, with vnic type direct', () => {
    const { pools, warnings, overlap } = parse(
      json({
        resourceName: 'sriov_net',
        resourcePrefix: 'intel.com',
        excludeTopology: true,
        selectors: [{ ...selectors, pfNames: ['p1#0-3'] }],
      }),
    );
    deepEqual(warnings, []);
    equal(overlap, 'first');
    deepEqual(pools, [
      {
        name: 'sriov_net',
        line: 3,
        resources: [{ name: 'intel.com/sriov_net', vnicType: 'direct' }],
        driver: 'vfio-pci',
        selectors: [
          { vendors: ['8086'], drivers: ['vfio-pci'], pfNames: [{ pf: 'p1', numbers: new Set([0, 1, 2, 3]), anyCase: true }] },
        ],
        numaPolicy: 'none',
        allocation: 'pack',
        cdi: false,
        vhost: { mode: 0o770, uid: 0, gid: 0 },
      },
    ]);
  });

  it('reads its keys without regard to case, as Go does', () => {
    deepEqual(parse(json({ RESOURCENAME: 'a', ResourcePrefix: 'x.io', Selectors: selectors })).pools[0]?.selectors, [selectors]);
  });

  const warned: Readonly<Record<string, readonly [object, RegExp]>> = {
    'an unknown key': [{ selector: 1, selectors }, /pools\.yaml:3: a: unknown key "selector" is ignored/],
    'an unknown selector': [{ selectors: { ...selectors, vendor: ['x'] } }, /unknown selector "vendor" is ignored/],
    'a PF named twice': [
      { selectors: { ...selectors, pfNames: ['p#0', 'p#5'] } },
      /pfNames names p more than once; only the first of them counts, as with that plugin/,
    ],
    'a selector of a kind unknown here': [
      { selectors: [selectors, { ...selectors, isRdma: true }] },
      /left out, because isRdma is not known here/,
    ],
    'an unparsable range': [
      { selectors: [selectors, { ...selectors, pfNames: ['p#x'] }] },
      /left out \(that plugin drops it silently\): pfNames: "p#x" has the part "x"/,
    ],
    'an empty selector': [{ selectors: {} }, /without any condition is left out/],
    'no selectors': [{}, /selector is missing or not an object/],
    'another device type': [
      { deviceType: 'accelerator', selectors },
      /left out, because deviceType "accelerator" is not offered here/,
    ],
    'no drivers': [{ selectors: { vendors: ['8086'] } }, /do not say whether VFs are passed by vfio-pci or as netdevs/],
    'a driver that is not served': [
      { selectors: { ...selectors, drivers: ['igb_uio', 'vfio-pci'] } },
      /igb_uio is not served here; bind these VFs to vfio-pci/,
    ],
    'nothing but such drivers': [
      { selectors: { ...selectors, drivers: ['uio_pci_generic'] } },
      /a selector is left out: uio_pci_generic is not served here.*kept from later pools/,
    ],
    'no prefix': [{ resourcePrefix: '', selectors }, /has no resourcePrefix, so it is intel\.com\/a/],
    needVhostNet: [{ selectors: { ...selectors, needVhostNet: true } }, /needVhostNet is ignored/],
    additionalInfo: [{ additionalInfo: { '*': {} }, selectors }, /additionalInfo is ignored/],
  };
  for (const [what, [fields, words]] of Object.entries(warned)) {
    it(`warns of ${what}`, () => {
      const { warnings } = parse(json({ resourceName: 'a', resourcePrefix: 'x.io', ...fields }));
      ok(
        warnings.some((line) => words.test(line)),
        warnings.join('\n'),
      );
    });
  }

  it('gives netdevs away where its drivers are netdev drivers', () => {
    equal(
      parse(json({ resourceName: 'a', resourcePrefix: 'x.io', selectors: { drivers: ['iavf'] } })).pools[0]?.driver,
      'kernel',
    );
  });

  it('may have two pools of one name under different prefixes, which are told apart by them', () => {
    const { pools, warnings } = parse(
      json(
        { resourceName: '10G', resourcePrefix: 'one.example', selectors },
        { resourceName: '10G', resourcePrefix: 'two.example', selectors: { ...selectors, pfNames: ['p1'] } },
      ),
    );
    deepEqual(warnings, []);
    deepEqual(
      pools.map((each) => [each.name, each.resources[0]?.name]),
      ['one.example/10G', 'two.example/10G'].map((each) => [each, each]),
    );
    deepEqual(
      problems(json({ resourceName: 'a', selectors }, { resourceName: 'a', selectors })).map((line) => line.split(';')[0]),
      ['pools.yaml:14: resource intel.com/a is defined a second time, first on line 3'].flatMap((line) => [
        line.replace('resource', 'pool'),
        line,
      ]),
    );
  });

  it('gives resources without a prefix the one of the command line', () => {
    const text = json({ resourceName: 'a', selectors });
    equal(parseConfig('f', text, 'example.com').pools[0]?.resources[0]?.name, 'example.com/a');
    equal(parseConfig('f', text).pools[0]?.resources[0]?.name, 'intel.com/a');
  });

  it("takes an empty device type for netDevice, and the operator's own fields for nothing", () => {
    for (const more of [{ deviceType: '' }, { deviceType: null }, { SelectorObjs: null }, { SelectorObj: {} }])
      deepEqual(parse(json({ resourceName: 'a', resourcePrefix: 'x.io', selectors, ...more })).warnings, []);
  });

  it('with a device type that is none is refused, as that plugin refuses it', () => {
    deepEqual(problems(json({ resourceName: 'a', deviceType: 'foo', selectors })), [
      'pools.yaml:3: deviceType: "foo" is none of that plugin\'s; write netDevice, or leave the key out',
    ]);
  });

  it('without a resource name is refused', () => {
    deepEqual(problems(json({ selectors })), ['pools.yaml:3: resourceName: is missing; name the resource that pods ask for']);
  });
});

describe('the example', () => {
  it('of the pools is accepted', () => {
    const { pools, warnings } = parseConfig('pools.yaml', readFileSync(join(examples, 'pools.yaml'), 'utf8'));
    deepEqual(warnings, []);
    deepEqual(
      pools.map(({ name }) => name),
      ['offload', 'dpdk', 'ovs', 'kernel-vfs'],
    );
  });
});
