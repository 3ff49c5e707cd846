import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseNetworkConfig, trunkVlans } from '../../../network/keys.ts';
import { Refusal } from '../../../network/refusal.ts';

const base = { cniVersion: '1.1.0', name: 'tenant-a', type: 'smartnic', bridge: 'br0' };
const strict = (more: object) => parseNetworkConfig({ ...base, ...more }, { lenient: false });
const lenient = (more: object) => parseNetworkConfig({ ...base, ...more }, { lenient: true });

function refusal(more: object): string {
  try {
    assert.fail(`accepted: ${JSON.stringify(strict(more))}`);
  } catch (error) {
    if (error instanceof Refusal) return `${error.kind}: ${error.message}`;
    throw error;
  }
}

const ours =
  'known keys: name, type, bridge, createBridge, vnicType, allowedVnicTypes, vlan, trunk, mtu, mac, allowPodMac, ipam, dns, ovsdb, externalIds, driver, resource, representor, maxTxRate, minTxRate, trust, spoofchk, linkState, vlanQos, hooks, serverWait';
const addressForms = 'write unix:/absolute/path, tcp:HOST:PORT or ssl:HOST:PORT, an IPv6 host in brackets';
const reserved = 'sets a key that smartnic writes itself (iface-*, vm-id, owner, smartnic-*, …)';

describe('the network configuration', () => {
  it('needs no more than name, type and bridge', () => {
    assert.deepEqual(strict({}), {
      ...base,
      createBridge: false,
      allowPodMac: false,
      allowedVnicTypes: ['normal', 'direct', 'virtio-forwarder'],
      externalIds: {},
      representor: 'auto',
      hooks: false,
    });
  });

  const good: readonly object[] = [
    { bridge: 'b' },
    { bridge: 'fifteen-letters' },
    { createBridge: true },
    { vnicType: 'direct' },
    { vnicType: 'direct', allowedVnicTypes: ['direct'] },
    { vlan: 0 },
    { vlan: 4094 },
    { trunk: [{ id: 5 }, { minID: 0, maxID: 4094 }] },
    { trunk: 'all' },
    { mtu: 68 },
    { mtu: 65535 },
    { mac: '02:00:00:00:00:0a' },
    { ipam: { type: 'host-local', subnet: '10.0.0.0/8', anything: [1] } },
    { ipam: {} },
    { dns: { nameservers: ['10.0.0.1'], domain: 'x', search: ['x'], options: ['ndots:5'] } },
    { ovsdb: 'unix:/run/ovs/db.sock' },
    { ovsdb: 'tcp:[::1]:6640' },
    { ovsdb: 'ssl:db.example.org:6640' },
    { externalIds: { team: 'red', iface: 'x', 'x-owner': 'y' } },
    { serverWait: 0 },
    { serverWait: 110 },
  ];
  for (const more of good) {
    it(`may have ${JSON.stringify(more)}`, () => {
      const [key = '', value] = Object.entries(more)[0] ?? [];
      assert.deepEqual(Reflect.get(strict(more), key), value);
    });
  }

  const bad: readonly (readonly [object, string | RegExp])[] = [
    [{ bridge: undefined }, 'bad value: bridge: is missing'],
    [{ bridge: '' }, 'bad value: bridge: "" is not a bridge name: 1-15 characters without /, : and white space'],
    [
      { bridge: 'sixteen-letters-' },
      'bad value: bridge: "sixteen-letters-" is not a bridge name: 1-15 characters without /, : and white space',
    ],
    [{ bridge: 'a/b' }, 'bad value: bridge: "a/b" is not a bridge name: 1-15 characters without /, : and white space'],
    [{ bridge: 5 }, 'bad value: bridge: 5 is not a string'],
    [{ type: undefined }, 'bad value: type: is missing'],
    [{ createBridge: 'yes' }, 'bad value: createBridge: "yes" is not a boolean'],
    [{ vnicType: 'sriov' }, 'bad value: vnicType: "sriov" is not one of normal, direct, virtio-forwarder'],
    [{ vnicType: 'Normal' }, 'bad value: vnicType: "Normal" is not one of normal, direct, virtio-forwarder'],
    [{ vnicType: null }, 'bad value: vnicType: null is not one of normal, direct, virtio-forwarder'],
    [{ vnicType: 'direct', allowedVnicTypes: ['normal'] }, 'bad value: vnicType: "direct" is not among allowedVnicTypes'],
    [{ allowedVnicTypes: [] }, 'bad value: allowedVnicTypes: [] is empty'],
    [
      { allowedVnicTypes: ['normal', 'sriov'] },
      'bad value: allowedVnicTypes.1: "sriov" is not one of normal, direct, virtio-forwarder',
    ],
    [{ vlan: 4095 }, 'bad value: vlan: 4095 is above the greatest, 4094'],
    [{ vlan: -1 }, 'bad value: vlan: -1 is below the least, 0'],
    [{ vlan: '100' }, 'bad value: vlan: "100" is not a number'],
    [{ vlan: 1.5 }, 'bad value: vlan: 1.5 is not a whole number'],
    [{ trunk: [] }, 'bad value: trunk: [] is empty'],
    [{ trunk: [{ id: 4095 }] }, 'bad value: trunk.0.id: 4095 is above the greatest, 4094'],
    [{ trunk: [{ minID: 1 }] }, 'bad value: trunk.0.maxID: is missing'],
    [{ trunk: [{ minID: 5, maxID: 3 }] }, 'bad value: trunk.0: {"minID":5,"maxID":3} has its minID above its maxID'],
    [{ trunk: [{ id: 1, minID: 2 }] }, 'bad value: unknown key "minID" in trunk.0'],
    [{ trunk: { id: 1 } }, 'bad value: trunk: {"id":1} is not an array'],
    [{ trunk: Array.from({ length: 200_000 }, () => ({ id: 1 })) }, /^bad value: trunk: \[.*… has more than 128 entries$/],
    [
      { externalIds: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`k${n}`, 'v'])) },
      /^bad value: externalIds: .* has more than 16 keys$/,
    ],
    [{ externalIds: { k: 'x'.repeat(257) } }, /^bad value: externalIds\.k: "x+… is longer than 256 characters$/],
    [{ externalIds: { ['k'.repeat(257)]: 'x' } }, /^bad value: externalIds: has a key that is not allowed/],
    [{ mtu: 0 }, 'bad value: mtu: 0 is below the least, 68'],
    [{ mtu: 65536 }, 'bad value: mtu: 65536 is above the greatest, 65535'],
    [{ mac: '01:00:00:00:00:01' }, 'bad value: mac: "01:00:00:00:00:01" is a multicast address; the second digit must be even'],
    [{ mac: 'ff:ff:ff:ff:ff:ff' }, 'bad value: mac: "ff:ff:ff:ff:ff:ff" is a multicast address; the second digit must be even'],
    [{ mac: '00:00:00:00:00:00' }, 'bad value: mac: "00:00:00:00:00:00" is all zeros'],
    [{ mac: '02-00-00-00-00-01' }, 'bad value: mac: "02-00-00-00-00-01" is not a MAC address of the form 02:00:00:00:00:01'],
    [{ ipam: 'host-local' }, 'bad value: ipam: "host-local" is not an object'],
    [{ ipam: { type: '../evil' } }, 'bad value: ipam.type: "../evil" is not the name of an executable: no slashes'],
    [{ ipam: { type: 'a\\b' } }, 'bad value: ipam.type: "a\\\\b" is not the name of an executable: no slashes'],
    [{ ipam: { type: '..' } }, 'bad value: ipam.type: ".." is not the name of an executable'],
    [{ dns: { nameservers: '10.0.0.1' } }, 'bad value: dns.nameservers: "10.0.0.1" is not an array'],
    [{ ovsdb: 'http://x' }, `bad value: ovsdb: "http://x" is not an OVSDB address; ${addressForms}`],
    [{ ovsdb: '/run/db.sock' }, `bad value: ovsdb: "/run/db.sock" is not an OVSDB address; ${addressForms}`],
    [{ externalIds: { 'iface-id': 'x' } }, `bad value: externalIds: {"iface-id":"x"} ${reserved}`],
    [{ externalIds: { owner: 'x' } }, `bad value: externalIds: {"owner":"x"} ${reserved}`],
    [{ externalIds: { 'smartnic-container': 'x' } }, `bad value: externalIds: {"smartnic-container":"x"} ${reserved}`],
    [{ externalIds: { '': 'x' } }, 'bad value: externalIds: has a key that is not allowed: ""'],
    [{ externalIds: { a: 1 } }, 'bad value: externalIds.a: 1 is not a string'],
    [{ serverWait: 111 }, 'bad value: serverWait: 111 is above the greatest, 110'],
    [{ vlann: 5 }, `unknown key: unknown key "vlann"; ${ours}`],
    [{ VLAN: 5, mtu: 0 }, `unknown key: mtu: 0 is below the least, 68; unknown key "VLAN"; ${ours}`],
    [{ runtimeConfig: { mac: 'x' } }, 'bad value: runtimeConfig.mac: "x" is not a MAC address of the form 02:00:00:00:00:01'],
    [{ args: { cni: { mac: 'x' } } }, 'bad value: args.cni.mac: "x" is not a MAC address of the form 02:00:00:00:00:01'],
    [{ args: [] }, 'bad value: args: [] is not an object'],
    [{ prevResult: 'x' }, 'bad value: prevResult: "x" is not an object'],
    [
      { 'cni.dev/valid-attachments': [{}] },
      'bad value: cni.dev/valid-attachments.0.containerID: is missing; cni.dev/valid-attachments.0.ifname: is missing',
    ],
  ];
  for (const [more, sentence] of bad) {
    it(`is refused: ${sentence}`, () =>
      typeof sentence === 'string' ? assert.equal(refusal(more), sentence) : assert.match(refusal(more) ?? '', sentence));
  }

  it('writes MAC addresses in lower case, wherever they come from', () => {
    const mac = '02:AB:CD:EF:00:01';
    const config = strict({ mac, runtimeConfig: { mac }, args: { cni: { mac } } });
    const lower = mac.toLowerCase();
    assert.deepEqual([config.mac, config.runtimeConfig?.mac, config.args?.cni?.mac], [lower, lower, lower]);
  });

  it('may have every key that libcni, Multus and the CNI conventions put in', () => {
    const injected = {
      cniVersions: ['0.4.0', '1.1.0'],
      prevResult: { cniVersion: '1.1.0', interfaces: [{ name: 'eth0' }], ips: [], dns: {} },
      capabilities: { mac: true, portMappings: true, bandwidth: false, 'io.kubernetes.cri.pod-annotations': true },
      runtimeConfig: {
        mac: '02:00:00:00:00:01',
        portMappings: [{ hostPort: 1, containerPort: 2, protocol: 'tcp' }],
        ipRanges: [[{ subnet: '10.0.0.0/8' }]],
        bandwidth: { ingressRate: 1, ingressBurst: 2, egressRate: 3, egressBurst: 4 },
        dns: { servers: ['10.0.0.1'], searches: ['x'], options: ['y'] },
        ips: ['10.0.0.2/8'],
        infinibandGUID: 'c2:11:22:33:44:55:66:77',
        deviceID: '0000:af:06.0',
        aliases: { 'tenant-a': ['x'] },
        cgroupPath: '/kubepods',
        CNIDeviceInfoFile: '/var/run/k8s.cni.cncf.io/devinfo/cni/x',
        'io.kubernetes.cri.pod-annotations': { a: 'b' },
      },
      args: {
        cni: { vnicType: 'direct', labels: [{ key: 'a', value: 'b' }], ips: ['10.0.0.3'], mac: '02:00:00:00:00:02', more: 1 },
        other: {},
      },
      deviceID: '0000:af:06.0',
      pciBusID: '0000:af:06.0',
      'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0', more: 1 }],
      'cni.dev/attachments': [{ containerID: 'a', ifname: 'eth0' }],
      disableCheck: 'true',
      disableGC: true,
    };
    for (const [key, value] of Object.entries(injected)) assert.doesNotThrow(() => strict({ [key]: value }), key);
    assert.doesNotThrow(() => strict(injected));
    assert.doesNotThrow(() => strict({ 'cni.dev/valid-attachments': null }));
  });

  it('on DEL and GC leaves out what it cannot use and keeps the rest', () => {
    const config = lenient({ vlan: 9999, colour: 'red', ovsdb: 'unix:/db', mtu: 1400, trunk: [{ id: 1, x: 2 }], bridge: '' });
    assert.deepEqual(
      [config.vlan, config.ovsdb, config.mtu, config.trunk, config.name],
      [undefined, 'unix:/db', 1400, undefined, 'tenant-a'],
    );
    assert.equal('colour' in config, false);
  });

  it('on DEL and GC leaves out also what only shows when the rest is usable', () => {
    assert.equal(lenient({ vlan: 9999, vnicType: 'direct', allowedVnicTypes: ['normal'] }).name, 'tenant-a');
  });

  it('on DEL and GC tells no list of valid attachments from an empty one', () => {
    const key = 'cni.dev/valid-attachments';
    assert.deepEqual(lenient({ [key]: [], vlan: 9999 })[key], []);
    assert.equal(lenient({ [key]: [{ containerID: 1 }] })[key], undefined);
    assert.equal(lenient({})[key], undefined);
  });

  it('never keeps a DEL or GC from being understood, whatever stands in it', () => {
    const key = fc.oneof(
      fc.constantFrom(
        ...Object.keys(strict({})),
        ...ours.slice(12).split(', '),
        'args',
        'runtimeConfig',
        'prevResult',
        '__proto__',
      ),
      fc.string(),
    );
    const nested = fc.oneof(
      fc.jsonValue(),
      fc.array(fc.dictionary(fc.constantFrom('id', 'minID', 'maxID', 'type', 'x'), fc.jsonValue())),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(key, nested)), (entries) => {
        assert.equal(lenient({ ...Object.fromEntries(entries), name: 'tenant-a' }).name, 'tenant-a');
      }),
      { numRuns: 500 },
    );
  });
});

describe('the VLANs of a trunk', () => {
  it('are all of its entries, ascending and once', () => {
    assert.deepEqual(trunkVlans([{ minID: 10, maxID: 12 }, { id: 5 }, { id: 11 }, { minID: 7, maxID: 7 }]), [5, 7, 10, 11, 12]);
    assert.equal(trunkVlans([{ minID: 0, maxID: 4094 }]).length, 4095);
  });
});
