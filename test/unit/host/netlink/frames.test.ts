// Announcement frames against bytes written by hand.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { gratuitousArp, unsolicitedAdvertisement } from '../../../../host/netlink/frames.ts';

describe('announcement frames', () => {
  it('ask for our own IPv4 address in a broadcast ARP request', () => {
    const expected = [
      'ffffffffffff 0a580a000005 0806', // to all, from us, ARP
      '0001 0800 06 04 0001', // Ethernet, IPv4, sizes, request
      '0a580a000005 0a000005', // sender
      '000000000000 0a000005', // target
    ];
    assert.equal(gratuitousArp('0a:58:0a:00:00:05', '10.0.0.5').toString('hex'), hex(expected));
  });

  it('advertise our IPv6 address to all nodes, with the checksum worked out by hand', () => {
    // Pseudo header and message as 16-bit words, without the checksum itself:
    // 2 x (2001+0db8+5) [source, target] + ff02+1 [ff02::1] + 20 [length] + 3a [protocol] + 8800 + 2000 [type, flags]
    // + 0201+0a58+0a00+0005 [option] = 21937 -> 1937 + 2 = 1939 -> its complement e6c6
    const expected = [
      '333300000001 0a580a000005 86dd',
      '60000000 0020 3a ff', // version 6, 32 bytes, ICMPv6, hop limit 255
      '20010db8000000000000000000000005',
      'ff020000000000000000000000000001',
      '88 00 e6c6 20000000', // neighbour advertisement, override
      '20010db8000000000000000000000005',
      '02 01 0a580a000005',
    ];
    const frame = unsolicitedAdvertisement('0a:58:0a:00:00:05', '2001:db8::5').toString('hex');
    assert.equal(frame, hex(expected));
  });

  it('carry a checksum by which the whole message sums to all ones, whatever the addresses', () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16));
    const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((b) =>
      Buffer.from(b)
        .toString('hex')
        .replace(/..(?!$)/g, '$&:'),
    );
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), mac, (groups, ours) => {
        const frame = unsolicitedAdvertisement(ours, groups.join(':'));
        const covered = Buffer.concat([frame.subarray(22, 54), Buffer.of(0, 32, 0, 58), frame.subarray(54)]);
        let sum = 0;
        for (let at = 0; at < covered.length; at += 2) sum += covered.readUInt16BE(at);
        while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
        assert.equal(sum, 0xffff);
      }),
    );
  });

  it('refuse an address of the other family and a MAC that is none', () => {
    assert.throws(() => gratuitousArp('0a:58:0a:00:00:05', '2001:db8::5'), /not an IPv4 address/);
    assert.throws(() => unsolicitedAdvertisement('0a:58:0a:00:00:05', '10.0.0.5'), /not an IPv6 address/);
    assert.throws(() => gratuitousArp('0a:58', '10.0.0.5'), /"0a:58" is not a MAC address/);
  });
});

function hex(lines: readonly string[]): string {
  return lines.join('').replaceAll(' ', '');
}
