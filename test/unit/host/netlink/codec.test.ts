// The message codec against bytes written by hand, and against itself.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import * as codec from '../../../../host/netlink/wire/codec.ts';

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const message = fc.record({ type: u16, flags: u16, seq: u32, pid: u32, body: bytes }, { noNullPrototype: true });
const attribute = fc.record({ type: fc.integer({ min: 0, max: 0x3fff }), value: bytes }, { noNullPrototype: true });

describe('netlink codec', () => {
  it('spells a message as linux/netlink.h does', () => {
    const encoded = codec.encodeMessage({ type: 0x12, flags: 0x301, seq: 7, pid: 0, body: Buffer.from([0xaa]) });
    assert.equal(encoded.toString('hex'), '11000000120001030700000000000000aa000000');
  });

  it('spells attributes with their length, type, value and padding', () => {
    assert.equal(codec.text(3, 'eth0').toString('hex'), '09000300657468300000' + '0000');
    assert.equal(codec.u32(4, 1500).toString('hex'), '08000400dc050000');
    assert.equal(codec.u16(4, 1500).toString('hex'), '06000400dc050000');
    assert.equal(codec.u8(8, 1).toString('hex'), '0500080001000000');
    assert.equal(codec.nested(18, codec.u8(8, 1)).toString('hex'), '0c0012800500080001000000');
  });

  it('decodes what it encoded, any number of messages in one datagram', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
        assert.deepEqual(codec.decodeMessages(Buffer.concat(messages.map(codec.encodeMessage))), messages);
      }),
    );
  });

  it('decodes what it encoded, any number of attributes, repeated ones included', () => {
    fc.assert(
      fc.property(fc.array(attribute, { maxLength: 8 }), (attributes) => {
        const encoded = Buffer.concat(attributes.map(({ type, value }) => codec.attribute(type, value)));
        assert.deepEqual(codec.decodeAttributes(encoded), attributes);
      }),
    );
  });

  it('decodes nested attributes by a second call and hides the flag bits of the type', () => {
    const [outer] = codec.decodeAttributes(codec.nested(18, codec.text(1, 'veth'), codec.u32(2, 9)));
    assert.equal(outer?.type, 18);
    const inner = codec.attributeMap(outer?.value ?? Buffer.alloc(0));
    assert.equal(codec.readText(inner.get(1) ?? Buffer.alloc(0)), 'veth');
    assert.equal(codec.readU32(inner.get(2) ?? Buffer.alloc(0)), 9);
  });

  it('reads any text up to its NUL', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.includes('\0')),
        (value) => {
          const [decoded] = codec.decodeAttributes(codec.text(1, value));
          assert.equal(codec.readText(decoded?.value ?? Buffer.alloc(0)), value);
        },
      ),
    );
    assert.equal(codec.readText(Buffer.from('veth')), 'veth', 'the kernel may leave the NUL out');
    assert.throws(() => codec.text(1, 'a\0b'), /NUL/);
  });

  it('refuses every truncation of a message, naming the place', () => {
    fc.assert(
      fc.property(message, fc.nat(), (one, n) => {
        const encoded = codec.encodeMessage(one).subarray(0, 16 + one.body.length);
        const cut = encoded.subarray(0, 1 + (n % (encoded.length - 1)));
        assert.throws(() => codec.decodeMessages(cut), {
          name: 'RangeError',
          message: /at byte 0 claims \d+ bytes, but the data is/,
        });
      }),
    );
  });

  it('refuses every truncation of an attribute, naming the place', () => {
    fc.assert(
      fc.property(attribute, fc.nat(), (one, n) => {
        const encoded = codec.attribute(one.type, one.value).subarray(0, 4 + one.value.length);
        const cut = encoded.subarray(0, 1 + (n % (encoded.length - 1)));
        assert.throws(() => codec.decodeAttributes(cut), {
          name: 'RangeError',
          message: /at byte 0 claims \d+ bytes, but the data is/,
        });
      }),
    );
  });

  it('ends on any bytes at all, with a result or a RangeError', () => {
    fc.assert(
      fc.property(bytes, (garbage) => {
        for (const decode of [codec.decodeMessages, codec.decodeAttributes]) {
          try {
            decode(garbage);
          } catch (error) {
            assert.ok(error instanceof RangeError);
          }
        }
      }),
    );
  });

  it('refuses a length of zero, on which a careless reader would turn for ever', () => {
    assert.throws(() => codec.decodeMessages(Buffer.alloc(32)), /claims 0 bytes/);
    assert.throws(() => codec.decodeAttributes(Buffer.alloc(8)), /claims 0 bytes/);
  });

  it('refuses to read a number from too few bytes', () => {
    assert.throws(() => codec.readU32(Buffer.alloc(3)), /claims 4 bytes, but the data is 3 bytes/);
    assert.throws(() => codec.readI32(Buffer.alloc(6), 4), RangeError);
    assert.throws(() => codec.readU16(Buffer.alloc(1)), RangeError);
    assert.throws(() => codec.readU8(Buffer.alloc(0)), RangeError);
  });

  it('refuses a value larger than an attribute can hold', () => {
    assert.throws(() => codec.attribute(1, Buffer.alloc(65532)), /cannot hold 65532 bytes/);
  });
});
