// Wrong network configurations, one by one, through the shipped executable: the error names key and value, and nothing is changed.
import assert from 'node:assert/strict';
import { forAllTests } from '../support/for-all-tests.ts';
import type { TestNetns } from '../support/netns.ts';
import { containerId, ipamDirectory, network, startNode, type TestNode } from '../support/node.ts';
import { ask } from '../support/runtime.ts';

/** What is wrong in a configuration, the code, and what the message says. */
type Row = readonly [wrong: object, code: number, says: RegExp];

const rows: readonly Row[] = [
  [{ vlann: 5 }, 2, /unknown key "vlann"; known keys: .*\bvlan\b/],
  [{ vlan: 4095 }, 7, /vlan: 4095 is above the greatest, 4094/],
  [{ vlan: -1 }, 7, /vlan: -1 is below the least, 0/],
  [{ vlan: '5' }, 7, /vlan: "5" is not a (whole )?number/],
  [{ vlan: 1.5 }, 7, /vlan: 1\.5 is not a whole number/],
  [{ mtu: 0 }, 7, /mtu: 0 is below the least, 68/],
  [{ mtu: 65536 }, 7, /mtu: 65536 is above the greatest, 65535/],
  [{ mac: '01:00:5e:00:00:01' }, 7, /mac: "01:00:5e:00:00:01" is a multicast address/],
  [{ mac: '00:00:00:00:00:00' }, 7, /mac: "00:00:00:00:00:00" is all zeros/],
  [{ mac: '02-00-00-00-00-01' }, 7, /mac: "02-00-00-00-00-01" is not a MAC address/],
  [{ runtimeConfig: { mac: '03:00:00:00:00:01' } }, 7, /runtimeConfig\.mac: "03:00:00:00:00:01" is a multicast address/],
  [{ args: { cni: { mac: 'x' } } }, 7, /args\.cni\.mac: "x" is not a MAC address/],
  [{ bridge: undefined }, 7, /bridge: is missing/],
  [
    { bridge: 'br9' },
    7,
    /bridge: there is no bridge "br9" on unix:.*; create it \(ovs-vsctl add-br br9\) or set "createBridge": true/,
  ],
  [{ bridge: 'sixteen-letters-' }, 7, /bridge: "sixteen-letters-" is not a bridge name: 1-15 characters/],
  [{ bridge: 'br/0' }, 7, /bridge: "br\/0" is not a bridge name/],
  [{ createBridge: 'yes' }, 7, /createBridge: "yes" is not a boolean/],
  [{ vnicType: 'fast' }, 7, /vnicType: "fast" is not one of normal, direct, virtio-forwarder/],
  [{ args: { cni: { vnicType: 'fast' } } }, 7, /args\.cni\.vnicType: unknown vnic type "fast"/],
  [
    { vnicType: 'direct' },
    4,
    /CNI_ARGS: has no K8S_POD_NAMESPACE and K8S_POD_NAME, .*vnic type direct needs a runtime that names the pod/,
  ],
  [{ vnicType: 'virtio-forwarder' }, 4, /CNI_ARGS: has no K8S_POD_NAMESPACE and K8S_POD_NAME, .*vnic type virtio-forwarder/],
  [{ allowedVnicTypes: [] }, 7, /allowedVnicTypes: \[\] is empty/],
  [{ allowedVnicTypes: ['fast'] }, 7, /allowedVnicTypes\.0: "fast" is not one of normal, direct, virtio-forwarder/],
  [
    { allowedVnicTypes: ['direct'] },
    7,
    /network "tenant-a" does not allow "normal" \(asked for interface eth0\); it allows: direct/,
  ],
  [{ allowedVnicTypes: ['direct'], vnicType: 'normal' }, 7, /vnicType: "normal" is not among allowedVnicTypes/],
  [{ trunk: [] }, 7, /trunk: \[\] is empty/],
  [{ trunk: [{ id: 4095 }] }, 7, /trunk\.0\.id: 4095 is above the greatest, 4094/],
  [{ trunk: [{ minID: 5, maxID: 4 }] }, 7, /trunk\.0: \{"minID":5,"maxID":4\} has its minID above its maxID/],
  [{ ovsdb: 'http://127.0.0.1:6640' }, 7, /ovsdb: "http:\/\/127\.0\.0\.1:6640" .*(unix:|tcp:|ssl:)/],
  [{ ovsdb: 'tcp:127.0.0.1' }, 7, /ovsdb: "tcp:127\.0\.0\.1"/],
  [{ externalIds: { owner: 'me' } }, 7, /externalIds: \{"owner":"me"\} sets a key that smartnic writes itself/],
  [{ externalIds: { 'iface-id': 'x' } }, 7, /externalIds: \{"iface-id":"x"\} sets a key that smartnic writes itself/],
  [{ externalIds: { rack: 7 } }, 7, /externalIds\.rack: 7 is not a string/],
  [{ ipam: 'host-local' }, 7, /ipam: "host-local" is not an object/],
  [{ ipam: { type: '../evil' } }, 7, /ipam\.type: "\.\.\/evil" is not the name of an executable: no slashes/],
  [{ ipam: { type: 'a\\b' } }, 7, /ipam\.type: "a\\\\b" is not the name of an executable: no slashes/],
  [{ ipam: { type: 'nowhere' } }, 7, /ipam\.type: no executable "nowhere" in CNI_PATH \(\/usr\/lib\/cni\)/],
  [{ prevResult: 'x' }, 7, /prevResult: "x" is not an object/],
  [
    { prevResult: { interfaces: [], ips: [{ address: '10.0.0.1' }] } },
    7,
    /prevResult: ips\.0\.address: "10\.0\.0\.1" is not an address with a prefix/,
  ],
  [{ serverWait: 'long' }, 7, /serverWait: "long" is not a number/],
  [{ type: undefined }, 7, /type: is missing/],
  [{ mtu: 0, vlan: 4095 }, 7, /(vlan: 4095 .*; mtu: 0 )|(mtu: 0 .*; vlan: 4095 )/],
];

describe('a wrong network configuration', () => {
  let node: TestNode;
  let pod: TestNetns;
  forAllTests(startNode, async (made, undo) => {
    node = made;
    pod = undo.use(await node.pod());
  });

  const env = (command: string) => ({
    CNI_COMMAND: command,
    CNI_CONTAINERID: containerId(),
    CNI_NETNS: pod.path,
    CNI_IFNAME: 'eth0',
    CNI_PATH: ipamDirectory,
  });

  for (const [wrong, code, says] of rows) {
    it(`is refused by its key and value: ${describeWrong(wrong)}`, async () => {
      const config = network(node, { cniVersion: '1.1.0', ...wrong });
      const { exit, json, text } = await ask(node.socket, env('ADD'), config);
      assert.deepEqual([exit, json.code], [1, code], text);
      assert.match(json.msg, says);
      assert.deepEqual(await node.leftovers(), []);
    });
  }

  it('keeps no pod from going away', async () => {
    for (const [wrong] of rows.filter((row) => !('ovsdb' in row[0]) && !('ipam' in row[0]))) {
      const config = network(node, { cniVersion: '1.1.0', ...wrong });
      const { exit, text } = await ask(node.socket, env('DEL'), config);
      assert.deepEqual([exit, text], [0, ''], describeWrong(wrong));
    }
  });

  it('does not become right because keys of libcni, Multus and the conventions stand beside it', async () => {
    const injected = {
      capabilities: { mac: true, portMappings: true },
      runtimeConfig: { portMappings: [], deviceID: '0000:04:00.1', CNIDeviceInfoFile: '/tmp/x' },
      args: { cni: { labels: [] }, other: 1 },
      cniVersions: ['1.0.0', '1.1.0'],
      disableCheck: true,
      deviceID: '0000:04:00.1',
      'cni.dev/attachments': [],
      'cni.dev/valid-attachments': [],
    };
    const good = await ask(node.socket, env('STATUS'), network(node, { cniVersion: '1.1.0', ...injected }));
    assert.equal(good.exit, 0, good.text);
    const bad = await ask(node.socket, env('ADD'), network(node, { cniVersion: '1.1.0', ...injected, bridgee: 'br0' }));
    assert.deepEqual([bad.json.code, bad.json.msg.split(';')[0]], [2, 'unknown key "bridgee"']);
  });
});

function describeWrong(wrong: object): string {
  return Object.entries(wrong)
    .map(([key, value]) => `${key} ${value === undefined ? 'absent' : JSON.stringify(value)}`)
    .join(', ');
}
