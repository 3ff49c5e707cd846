import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Attachment,
  attachmentId,
  bridgePortName,
  externalIds,
  lockKey,
  stableMac,
} from '../../../../cni/attachment/attachment.ts';

const key = { network: 'tenant-a', containerId: 'c1', ifname: 'eth0' };
const attachment: Attachment = {
  ...key,
  id: attachmentId(key),
  bridgePort: 'snx',
  vnicType: 'normal',
  ovsdb: 'unix:/db',
  bridge: 'br0',
  netns: '/run/netns/a',
  pod: { podNamespace: 'ns', podName: 'web-0', podUid: 'uid-1' },
  bootId: 'b',
  since: '2026-01-01T00:00:00.000Z',
  began: 1,
};
const name = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,20}$/);
const anyKey = fc.record({ network: name, containerId: name, ifname: name });

describe("an attachment's names", () => {
  it('never change: ports made by an earlier release are found under them', () => {
    assert.equal(attachmentId(key), '5c8c1ff250c1');
    assert.equal(stableMac('uid-1', 'eth0'), '5e:fd:e4:d2:7e:a5');
  });

  it('differ when network, container or interface do, however their letters are shared out', () => {
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const same = a.network === b.network && a.containerId === b.containerId && a.ifname === b.ifname;
        assert.equal(attachmentId(a) === attachmentId(b), same);
      }),
    );
    assert.notEqual(
      attachmentId({ network: 'a', containerId: 'bc', ifname: 'd' }),
      attachmentId({ network: 'ab', containerId: 'c', ifname: 'd' }),
    );
  });

  it('fit the kernel: the port is a name of at most 15 letters', () => {
    fc.assert(fc.property(anyKey, (each) => assert.match(bridgePortName(attachmentId(each)), /^sn[0-9a-f]{12}$/)));
  });

  it('lock by pod interface, not by network', () => {
    assert.equal(lockKey({ ...key, network: 'tenant-b' }), lockKey(key));
    assert.notEqual(lockKey({ ...key, ifname: 'eth1' }), lockKey(key));
    assert.notEqual(lockKey({ ...key, containerId: 'c2' }), lockKey(key));
  });
});

describe('the MAC that stays with a pod', () => {
  it('is unicast and locally administered, the same each time, another one for another interface or pod', () => {
    fc.assert(
      fc.property(fc.uuid(), name, name, (uid, ifname, other) => {
        const mac = stableMac(uid, ifname);
        assert.match(mac, /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
        assert.equal(stableMac(uid, ifname), mac);
        if (ifname !== other) assert.notEqual(stableMac(uid, other), mac);
      }),
    );
  });

  it("never begins with fe, which libvirt keeps for the host's end of a tap", () => {
    const macs = Array.from({ length: 2000 }, (_, count) => stableMac(`uid-${count}`, 'net1'));
    assert.deepEqual(
      macs.filter((mac) => mac.startsWith('fe')),
      [],
    );
  });
});

describe('the external_ids of a port', () => {
  it('name pod, interface, container and network, for us and for readers that exist already', () => {
    assert.deepEqual(externalIds(attachment, '02:00:00:00:00:01', { team: 'red' }), {
      team: 'red',
      'iface-id': 'ns_web-0_eth0',
      'attached-mac': '02:00:00:00:00:01',
      'iface-status': 'active',
      'vm-id': 'uid-1',
      'iface-id-ver': 'uid-1',
      contPodUid: 'uid-1',
      contIface: 'eth0',
      contNetns: '/run/netns/a',
      owner: 'smartnic.io',
      'smartnic-network': 'tenant-a',
      'smartnic-type': 'normal',
      'smartnic-container': 'c1',
      'smartnic-ifname': 'eth0',
    });
  });

  it('without a pod are named after the container, and have no pod keys', () => {
    const ids = externalIds({ ...attachment, pod: { podName: 'web-0' } }, '02:00:00:00:00:01', {});
    assert.equal(ids['iface-id'], 'c1_eth0');
    assert.deepEqual(
      ['vm-id', 'iface-id-ver', 'contPodUid'].filter((id) => id in ids),
      [],
    );
  });

  it('can not be overwritten by what the network adds', () => {
    const ids = externalIds(attachment, '02:00:00:00:00:01', { owner: 'me', 'iface-id': 'x', 'smartnic-container': 'x' });
    assert.deepEqual([ids['owner'], ids['iface-id'], ids['smartnic-container']], ['smartnic.io', 'ns_web-0_eth0', 'c1']);
  });
});
