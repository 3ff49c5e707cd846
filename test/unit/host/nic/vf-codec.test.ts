// A VF's attributes in rtnetlink: they read back as they were written, in the places where the kernel has them.
import assert from 'node:assert/strict';
import { decodeVfs, encodeVfChange, type VfChange, vfQuery } from '../../../../host/netlink/rtnetlink/vf.ts';
import { attribute, nested } from '../../../../host/netlink/wire/codec.ts';

const mac = '02:00:00:aa:bb:cc';

/** The kernel answers in the shape of the request, a list of VFs below the same header. */
function readBack(change: VfChange) {
  return decodeVfs({ type: 16, flags: 0, seq: 1, pid: 0, body: encodeVfChange(7, 3, { mac, ...change }) });
}

describe("a vf's attributes", () => {
  const nothing = { index: 3, mac, vlan: { id: 0, qos: 0 }, rate: { min: 0, max: 0 }, linkState: 'auto' };

  for (const [what, change] of [
    ['its MAC', {}],
    ['a VLAN with a priority', { vlan: { id: 4094, qos: 7 } }],
    ['an outer VLAN', { vlan: { id: 5, qos: 1, protocol: '802.1ad' } }],
    ['rates', { rate: { min: 10, max: 0xffffffff } }],
    ['the link held up', { linkState: 'enable' }],
    ['the link held down', { linkState: 'disable' }],
    ['spoof check off', { spoofchk: false }],
    ['trust', { trust: true }],
  ] as const) {
    it(`are read as they were written: ${what}`, () => assert.deepEqual(readBack(change), [{ ...nothing, ...change }]));
  }

  it('stand where linux/if_link.h has them', () => {
    const bytes = encodeVfChange(7, 3, { vlan: { id: 5, qos: 2 } });
    // ifinfomsg of link 7; IFLA_VFINFO_LIST { IFLA_VF_INFO { IFLA_VF_VLAN { VF 3, vlan 5, qos 2 } } }
    const expected = `${'00'.repeat(4)}07000000${'00'.repeat(8)}1800168014000180100002000300000005000000020000 00`.replace(
      ' ',
      '',
    );
    assert.equal(bytes.toString('hex'), expected);
  });

  it('are absent where the driver does not tell', () => {
    const [mac, untold] = [Buffer.alloc(36), Buffer.from('03000000ffffffff', 'hex')];
    mac.writeUInt32LE(3);
    const info = nested(1, attribute(1, mac), attribute(4, untold), attribute(9, untold));
    const body = Buffer.concat([Buffer.alloc(16), nested(22, info)]);
    const told = { index: 3, mac: '00:00:00:00:00:00', vlan: { id: 0, qos: 0 }, rate: { min: 0, max: 0 }, linkState: 'auto' };
    assert.deepEqual(decodeVfs({ type: 16, flags: 0, seq: 1, pid: 0, body }), [told]);
  });

  it('are none for a link that is no pf', () => {
    assert.deepEqual(decodeVfs({ type: 16, flags: 0, seq: 1, pid: 0, body: Buffer.alloc(16) }), []);
    assert.deepEqual(decodeVfs({ type: 16, flags: 0, seq: 1, pid: 0, body: Buffer.concat([Buffer.alloc(16), nested(22)]) }), []);
  });

  for (const count of [3, 250, 500, 1000])
    it(`are all read from the list of ${count}, whose length is told by its lower 16 bits`, () => {
      const each = (index: number) => {
        const bytes = Buffer.alloc(36);
        bytes.writeUInt32LE(index);
        bytes.writeUInt8(2, 4);
        bytes.writeUInt16BE(index, 8);
        return nested(1, attribute(1, bytes), attribute(200, Buffer.alloc(200))); // counters, or what the kernel may tell one day
      };
      const entries = Buffer.concat(Array.from({ length: count }, (_, index) => each(index)));
      const list = Buffer.alloc(4);
      list.writeUInt16LE((entries.length + 4) & 0xffff);
      list.writeUInt16LE(22, 2);
      const [before, behind] = [attribute(3, Buffer.from('ens1f0np0\0')), attribute(1, Buffer.from('020000000001', 'hex'))];
      const body = Buffer.concat([Buffer.alloc(16), before, list, entries, behind, attribute(24, Buffer.alloc(40))]);
      const vfs = decodeVfs({ type: 16, flags: 0, seq: 1, pid: 0, body });
      assert.deepEqual([vfs.length, vfs.at(-1)?.index, vfs.at(-1)?.mac], [count, count - 1, macOf(count - 1)]);
    });

  function macOf(index: number): string {
    const [high, low] = [index >> 8, index & 255].map((byte) => byte.toString(16).padStart(2, '0'));
    return `02:00:00:00:${high}:${low}`;
  }

  it('are asked for by link, and without counters', () => {
    assert.equal(vfQuery(7).toString('hex'), `${'00'.repeat(4)}07000000${'00'.repeat(8)}08001d0009000000`);
  });
});
