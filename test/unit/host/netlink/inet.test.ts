// Addresses between text and bytes.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatIp, formatMac, parseCidr, parseIp, parseMac } from '../../../../host/netlink/rtnetlink/inet.ts';

describe('addresses between text and bytes', () => {
  const spellings: readonly (readonly [text: string, hex: string])[] = [
    ['10.0.0.5', '0a000005'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::', '20010db8000000000000000000000000'],
    ['2001:DB8:0:0:8::417A', '20010db80000000000080000 0000417a'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['::ffff:10.0.0.1', '00000000000000000000ffff0a000001'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
  ];
  for (const [text, hex] of spellings) {
    it(`reads ${text}`, () => assert.equal(parseIp(text).ip.toString('hex'), hex.replaceAll(' ', '')));
  }

  it('reads every IP address that it wrote', () => {
    const size = fc.constantFrom(4, 16);
    fc.assert(
      fc.property(
        size.chain((n) => fc.uint8Array({ minLength: n, maxLength: n })),
        (array) => {
          const ip = Buffer.from(array);
          assert.deepEqual(parseIp(formatIp(ip)), { family: ip.length === 4 ? 4 : 6, ip });
        },
      ),
    );
  });

  it('writes IPv6 in its shortest spelling', () => {
    assert.equal(formatIp(parseIp('2001:0db8:0:0:0:0:0:5').ip), '2001:db8::5');
  });

  it('reads every MAC that it wrote', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (array) => {
        assert.deepEqual(parseMac(formatMac(Buffer.from(array))), Buffer.from(array));
      }),
    );
  });

  it('keeps the host bits of an address with a prefix length', () => {
    assert.deepEqual(parseCidr('10.0.0.5/24'), { family: 4, ip: Buffer.from([10, 0, 0, 5]), length: 24 });
  });

  for (const bad of [
    '',
    '10.0.0.5',
    '10.0.0.5/33',
    '2001:db8::5/129',
    '10.0.0/24',
    'fe80::1%eth0/64',
    '10.0.0.5/',
    '/24',
    '10.0.0.5/2x',
  ]) {
    it(`refuses "${bad}" as an address with a prefix length, naming it`, () => {
      assert.throws(
        () => parseCidr(bad),
        (error) => error instanceof RangeError && error.message.includes(`"${bad.split('/')[0]}`),
      );
    });
  }

  for (const bad of ['', '0a:58:0a:00:00', '0a:58:0a:00:00:0g', '0a-58-0a-00-00-05', '0a:58:0a:00:00:05:06']) {
    it(`refuses "${bad}" as a MAC address`, () => assert.throws(() => parseMac(bad), RangeError));
  }
});
