import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Decoded, decodeRequest, encodeAnswer } from '../../../../cni/server/frame.ts';

/** A request as cni/shim/README.md describes it. */
function encode(env: Readonly<Record<string, string>>, stdin: string): Buffer {
  const entries = Buffer.from(
    Object.entries(env)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  );
  const body = Buffer.from(stdin);
  return Buffer.concat([Buffer.from(`smartnic/1 ${entries.length} ${body.length}\n`), entries, body]);
}

function problem(bytes: string | Buffer): string {
  const decoded = decodeRequest(Buffer.from(bytes));
  return 'problem' in decoded ? decoded.problem : assert.fail(JSON.stringify(decoded));
}

const text = fc.string({ unit: 'grapheme' }).filter((each) => !each.includes('\0'));
const environment = fc.dictionary(fc.stringMatching(/^[A-Z_]{1,20}$/), text, { noNullPrototype: true });

describe('a request on the socket', () => {
  it('is decoded to what was encoded: any text, empty values, = and newlines in them', () => {
    fc.assert(
      fc.property(environment, fc.string({ unit: 'grapheme' }), (env, stdin) => {
        assert.deepEqual(decodeRequest(encode(env, stdin)), { env, stdin });
      }),
    );
    assert.deepEqual(decodeRequest(encode({ A: '', B: 'x=y\nz' }, '')), { env: { A: '', B: 'x=y\nz' }, stdin: '' });
  });

  it('cut anywhere says how many bytes it needs: more than there are, never more than there will be', () => {
    fc.assert(
      fc.property(environment, text, fc.double({ min: 0, max: 1, noNaN: true }), (env, stdin, at) => {
        const whole = encode(env, stdin);
        const length = Math.min(whole.length - 1, Math.floor(at * whole.length));
        const decoded = decodeRequest(whole.subarray(0, length));
        assert.ok('needs' in decoded && decoded.needs > length && decoded.needs <= whole.length, JSON.stringify(decoded));
      }),
    );
  });

  it('arriving byte by byte is complete at its last byte and not before', () => {
    const whole = encode({ CNI_COMMAND: 'ADD', CNI_ARGS: 'MAC=ä' }, '{"name":"grün"}');
    let decoded: Decoded = { needs: 1 };
    for (let length = 1; length <= whole.length; length++) {
      decoded = decodeRequest(whole.subarray(0, length));
      assert.equal('needs' in decoded, length < whole.length);
    }
    assert.deepEqual(decoded, { env: { CNI_COMMAND: 'ADD', CNI_ARGS: 'MAC=ä' }, stdin: '{"name":"grün"}' });
  });

  it('may be as large as the executable sends: 1 MiB of environment, 4 MiB of stdin', () => {
    const decoded = decodeRequest(encode({ A: 'x'.repeat(1024 * 1024 - 3) }, 'y'.repeat(4 * 1024 * 1024)));
    assert.equal('stdin' in decoded && decoded.stdin.length, 4 * 1024 * 1024);
  });

  it('is refused when it claims to be larger, before that much has come', () => {
    assert.equal(problem('smartnic/1 1048577 0\n'), 'the request is too large: 1048577 bytes of environment, 0 of stdin');
    assert.equal(problem('smartnic/1 0 4194305\n'), 'the request is too large: 0 bytes of environment, 4194305 of stdin');
  });

  it('is refused when it is of another protocol or version, with what to do', () => {
    const words = 'the request is not smartnic/1; executable and server are of different versions: install both from one release';
    for (const header of [
      'smartnic/2 0 0\n',
      'smartnic/1 0\n',
      'smartnic/1 -1 0\n',
      'smartnic/1 0x1 0\n',
      'smartnic/1 123456789 0\n',
      'GET / HTTP/1.1\r\n',
      '\n',
    ]) {
      assert.equal(problem(header), words, header);
    }
    assert.equal(problem('x'.repeat(64)), 'the request does not begin with a smartnic/1 header');
  });

  it('is decoded or refused whatever the bytes are', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assert.ok(decodeRequest(Buffer.from(bytes)))));
  });
});

describe('an answer on the socket', () => {
  it('says exit status and sizes in bytes, then both outputs', () => {
    assert.equal(encodeAnswer({ exit: 1, stdout: '{"msg":"grün"}', stderr: 'ä' }).toString(), '1 15 2\n{"msg":"grün"}ä');
    assert.equal(encodeAnswer({ exit: 0, stdout: '', stderr: '' }).toString(), '0 0 0\n');
  });
});
