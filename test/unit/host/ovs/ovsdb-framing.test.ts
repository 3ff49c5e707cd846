import assert from 'node:assert/strict';
import fc from 'fast-check';
import { messageSplitter } from '../../../../host/ovs/ovsdb/framing.ts';

describe('cutting OVSDB messages out of a byte stream', () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('{', '}', '"', '\\', '\\"}{', 'schön', '🙂', '\u2028'));
  const message = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.array(text), fc.dictionary(text, fc.array(text))));
  const space = fc.constantFrom('', ' ', '\n', '\r\n\t');

  it('gives the same messages wherever the stream is cut, also inside a character', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(space, message)), fc.array(fc.nat({ max: 400 })), (written, cuts) => {
        const stream = Buffer.from(written.map(([before, each]) => before + JSON.stringify(each)).join(''));
        const split = messageSplitter(1_000_000);
        const found = pieces(stream, cuts).flatMap((piece) => split(piece));
        assert.deepEqual(
          found,
          written.map(([, each]) => JSON.stringify(each)),
        );
      }),
    );
  });

  it('gives the same messages byte by byte', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 3 }), (written) => {
        const split = messageSplitter(1_000_000);
        const found = [...Buffer.from(written.map((each) => JSON.stringify(each)).join(''))].flatMap((byte) =>
          split(Buffer.of(byte)),
        );
        assert.deepEqual(
          found,
          written.map((each) => JSON.stringify(each)),
        );
      }),
    );
  });

  it('gives nothing before the last brace has come', () => {
    const split = messageSplitter(100);
    assert.deepEqual(split(Buffer.from('{"a":{"b":"}"}')), []);
    assert.deepEqual(split(Buffer.from('}{')), ['{"a":{"b":"}"}}']);
  });

  it('takes 5 MB in chunks of 1 KB without copying them again and again', () => {
    const stream = Buffer.from(JSON.stringify({ text: 'x{"'.repeat(1_300_000) }));
    const split = messageSplitter(10_000_000);
    const started = process.cpuUsage();
    let found = 0;
    for (let at = 0; at < stream.length; at += 1024) found += split(stream.subarray(at, at + 1024)).length;
    assert.equal(found, 1);
    assert.ok(process.cpuUsage(started).user < 1_000_000, 'more than a second of processor time');
  });

  it('refuses a message above the limit before it is complete, and takes one at the limit', () => {
    assert.deepEqual(messageSplitter(9)(Buffer.from('{"a":"b"}')), ['{"a":"b"}']);
    assert.throws(() => messageSplitter(8)(Buffer.from('{"a":"b"}')), /more than 8 bytes/);
    const split = messageSplitter(8);
    split(Buffer.from('{"a":'));
    assert.throws(() => split(Buffer.from('"bbb')), /more than 8 bytes/);
  });

  it('refuses what is no JSON object, showing how it begins', () => {
    for (const garbage of ['HTTP/1.1 400 Bad Request', '[1]', '}', '"', '{}x']) {
      assert.throws(() => messageSplitter(100)(Buffer.from(garbage)), /does not speak JSON-RPC/, garbage);
    }
    assert.throws(() => messageSplitter(100)(Buffer.from('SSH-2.0')), /"SSH-2\.0"/);
  });
});

function pieces(stream: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.filter((cut) => cut < stream.length).toSorted((a, b) => a - b), stream.length];
  return places.slice(1).map((end, index) => stream.subarray(places[index], end));
}
