// The decoders of links, addresses and routes on answers that are not what they should be.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeAddress } from '../../../../host/netlink/rtnetlink/address.ts';
import { decodeLink } from '../../../../host/netlink/rtnetlink/link.ts';
import { decodeRoute } from '../../../../host/netlink/rtnetlink/route.ts';
import { attribute, nested } from '../../../../host/netlink/wire/codec.ts';

const value = fc.uint8Array({ maxLength: 24 });
const attributes = fc.array(fc.tuple(fc.integer({ min: 0, max: 70 }), value), { maxLength: 12 });
const decoders = { decodeLink, decodeAddress, decodeRoute };

for (const [name, decode] of Object.entries(decoders)) {
  describe(name, () => {
    it('ends on any well-formed attributes with a record or a RangeError', () => {
      fc.assert(
        fc.property(fc.constantFrom(8, 12, 16), fc.constantFrom(0, 2, 10), attributes, (size, family, list) => {
          const header = Buffer.alloc(size, 1);
          header.writeUInt8(family);
          const body = Buffer.concat([header, ...list.map(([type, bytes]) => attribute(type, bytes))]);
          try {
            decode({ type: 0, flags: 0, seq: 0, pid: 0, body });
          } catch (error) {
            assert.ok(error instanceof RangeError, String(error));
          }
        }),
      );
    });

    it('refuses a body that is cut within its header', () => {
      assert.throws(() => decode({ type: 0, flags: 0, seq: 0, pid: 0, body: Buffer.alloc(0) }), RangeError);
    });
  });
}

describe('a link', () => {
  const [XDP, ATTACHED] = [43, 2]; // IFLA_XDP { IFLA_XDP_ATTACHED }, linux/if_link.h
  for (const [mode, extras] of [
    [0, undefined],
    [1, ['an XDP program']], // by its driver
    [2, ['an XDP program']], // generic
  ] as const)
    it(`with XDP attached in mode ${mode} has ${extras?.join() ?? 'nothing beyond its own'}`, () => {
      const body = Buffer.concat([Buffer.alloc(16), nested(XDP, attribute(ATTACHED, Buffer.of(mode)))]);
      assert.deepEqual(decodeLink({ type: 16, flags: 0, seq: 0, pid: 0, body }).extras, extras);
    });
});
