import assert from 'node:assert/strict';
import fc from 'fast-check';
import { chainResult, parseResult, type Result, renderResult } from '../../../../cni/protocol/result.ts';
import { supportedVersions } from '../../../../cni/protocol/versions.ts';

const full: Result = {
  interfaces: [
    { name: 'sn0123456789ab', mac: '02:00:00:00:00:01' },
    {
      name: 'net1',
      mac: '02:00:00:00:00:02',
      mtu: 1400,
      sandbox: '/run/netns/a',
      pciID: '0000:af:06.0',
      socketPath: '/run/s.sock',
    },
  ],
  ips: [
    { address: '10.1.0.2/16', gateway: '10.1.0.1', interface: 1 },
    { address: 'fd00::2/64', interface: 1 },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1300, advmss: 1200, priority: 5, table: 100, scope: 0 }, { dst: '::/0' }],
  dns: { nameservers: ['10.1.0.1'], domain: 'x.org', search: ['x.org'], options: ['ndots:5'] },
};

const oldInterfaces = [
  { name: 'sn0123456789ab', mac: '02:00:00:00:00:01' },
  { name: 'net1', mac: '02:00:00:00:00:02', sandbox: '/run/netns/a' },
];
const newInterfaces = [oldInterfaces[0], { ...oldInterfaces[1], mtu: 1400, pciID: '0000:af:06.0', socketPath: '/run/s.sock' }];
const newIps = [
  { address: '10.1.0.2/16', gateway: '10.1.0.1', interface: 1 },
  { address: 'fd00::2/64', interface: 1 },
];
const oldIps = [
  { version: '4', ...newIps[0] },
  { version: '6', ...newIps[1] },
];
const oldRoutes = [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: '::/0' }];

const shapes = {
  '0.3.0': { interfaces: oldInterfaces, ips: oldIps, routes: oldRoutes },
  '0.3.1': { interfaces: oldInterfaces, ips: oldIps, routes: oldRoutes },
  '0.4.0': { interfaces: oldInterfaces, ips: oldIps, routes: oldRoutes },
  '1.0.0': { interfaces: oldInterfaces, ips: newIps, routes: oldRoutes },
  '1.1.0': { interfaces: newInterfaces, ips: newIps, routes: full.routes },
};

describe('a result', () => {
  for (const version of supportedVersions) {
    it(`has the shape of ${version}, and no key of a newer one`, () => {
      assert.deepEqual(JSON.parse(renderResult(full, version)), { cniVersion: version, ...shapes[version], dns: full.dns });
    });

    it(`of ${version} is read back, as far as that version can say it`, () => {
      const read = parseResult(JSON.parse(renderResult(full, version)));
      assert.equal(renderResult(read, version), renderResult(full, version));
      if (version === '1.1.0') assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(full)));
    });

    it(`of ${version} without addresses has interfaces and an empty dns only`, () => {
      const bare = { interfaces: [{ name: 'net1', sandbox: '/x' }], ips: [], routes: [], dns: {} };
      assert.equal(
        renderResult(bare, version),
        `{"cniVersion":"${version}","interfaces":[{"name":"net1","sandbox":"/x"}],"dns":{}}`,
      );
    });
  }

  it('of IPAM has no interfaces, and may lack routes and dns', () => {
    const ips = [{ version: '4', address: '10.77.0.2/16', gateway: '10.77.0.1' }];
    assert.deepEqual(JSON.parse(JSON.stringify(parseResult({ cniVersion: '0.3.1', ips }))), {
      interfaces: [],
      ips: [{ address: '10.77.0.2/16', gateway: '10.77.0.1' }],
      routes: [],
      dns: {},
    });
    assert.deepEqual(parseResult({ cniVersion: '1.0.0' }).ips, []);
  });

  it('takes null and empty texts as absent, as Go writes them', () => {
    const empty = parseResult({
      ips: [{ address: '10.0.0.1/8', gateway: '' }],
      interfaces: null,
      routes: null,
      dns: { domain: '', search: null },
    });
    assert.deepEqual(empty, parseResult({ ips: [{ address: '10.0.0.1/8' }] }));
  });

  it('may have keys that no version knows', () => {
    const odd = { more: 1, interfaces: [{ name: 'a', more: 1 }], ips: [{ address: '10.0.0.1/8', more: 1 }], dns: { more: 1 } };
    assert.doesNotThrow(() => parseResult(odd));
  });

  const bad: readonly (readonly [unknown, string])[] = [
    [null, 'the document: null is not an object'],
    [[], 'the document: [] is not an object'],
    [{ ips: {} }, 'ips: {} is not an array'],
    [{ ips: [{}] }, 'ips.0.address: is missing'],
    [{ ips: [{ address: '10.0.0.1' }] }, 'ips.0.address: "10.0.0.1" is not an address with a prefix length, such as 10.1.2.3/24'],
    [
      { ips: [{ address: '10.0.0.1/33' }] },
      'ips.0.address: "10.0.0.1/33" is not an address with a prefix length, such as 10.1.2.3/24',
    ],
    [
      { ips: [{ address: 'fd00::1/129' }] },
      'ips.0.address: "fd00::1/129" is not an address with a prefix length, such as 10.1.2.3/24',
    ],
    [{ ips: [{ address: '10.0.0.1/8', gateway: 'x' }] }, 'ips.0.gateway: "x" is not an IP address'],
    [{ ips: [{ address: '10.0.0.1/8', interface: -1 }] }, 'ips.0.interface: -1 is below the least, 0'],
    [{ routes: [{ dst: 'default' }] }, 'routes.0.dst: "default" is not an address with a prefix length, such as 10.1.2.3/24'],
    [{ routes: [{ dst: '0.0.0.0/0', gw: 'x' }] }, 'routes.0.gw: "x" is not an IP address'],
    [{ interfaces: [{ mac: 'x' }] }, 'interfaces.0.name: is missing'],
    [{ dns: 'x' }, 'dns: "x" is not an object'],
  ];
  for (const [value, message] of bad) it(`is none: ${message}`, () => assert.throws(() => parseResult(value), { message }));

  it('is read, or refused with a sentence, whatever is there', () => {
    const ip = fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()) }, { requiredKeys: [] });
    const value = fc.oneof(
      fc.jsonValue(),
      fc.record({ ips: fc.array(ip), routes: fc.jsonValue(), interfaces: fc.jsonValue() }, { requiredKeys: [] }),
    );
    fc.assert(
      fc.property(value, (each) => {
        try {
          parseResult(each);
        } catch (error) {
          assert.ok(error instanceof Error && /^[a-z]\S*: |^the document: /.test(error.message), String(error));
        }
      }),
    );
  });
});

describe('a result behind that of an earlier plugin', () => {
  const earlier: Result = {
    interfaces: [{ name: 'lo', sandbox: '/x' }],
    ips: [{ address: '127.0.0.1/8', interface: 0 }],
    routes: [{ dst: '192.0.2.0/24' }],
    dns: { nameservers: ['192.0.2.1'] },
  };

  it('keeps what was there, and its addresses point at the same interfaces as before', () => {
    const both = chainResult(earlier, full);
    assert.deepEqual(both.interfaces, [...earlier.interfaces, ...full.interfaces]);
    for (const [index, ip] of full.ips.entries()) {
      assert.equal(both.interfaces[both.ips[index + 1]?.interface ?? -1]?.name, full.interfaces[ip.interface ?? -1]?.name);
    }
    assert.deepEqual(both.ips[0], earlier.ips[0]);
    assert.deepEqual(both.routes, [...earlier.routes, ...full.routes]);
  });

  it('keeps the earlier dns unless it brings one', () => {
    assert.deepEqual(chainResult(earlier, { ...full, dns: {} }).dns, earlier.dns);
    assert.deepEqual(chainResult(earlier, { ...full, dns: { nameservers: [] } }).dns, earlier.dns);
    assert.deepEqual(chainResult(earlier, full).dns, full.dns);
  });
});
