// The errors that the kernel's refusals become.
import assert from 'node:assert/strict';
import { text } from '../../../../host/netlink/wire/codec.ts';
import { explained, failureIn, NetlinkError } from '../../../../host/netlink/wire/error.ts';

const error = 2;
const done = 3;
const capped = 0x100;
const withAttributes = 0x200;

describe('netlink errors', () => {
  it('say what was attempted, the errno by name and in words, and the kernel its own', () => {
    const body = Buffer.concat([errno(17), Buffer.alloc(16), text(1, 'Address already assigned')]);
    const failure = failureIn({ type: error, flags: capped | withAttributes, seq: 1, pid: 1, body }, 'add address');
    assert.equal(failure?.message, 'add address: EEXIST File exists (kernel: Address already assigned)');
    assert.equal(failure?.code, 'EEXIST');
  });

  it('find the words behind a request that the kernel repeated whole, padding included', () => {
    const repeated = Buffer.alloc(24);
    repeated.writeUInt32LE(21); // its nlmsg_len
    const body = Buffer.concat([errno(22), repeated, text(1, 'No')]);
    assert.equal(failureIn({ type: error, flags: withAttributes, seq: 1, pid: 1, body }, 'x')?.kernel, 'No');
  });

  it('are found at the end of a list', () => {
    const body = Buffer.concat([errno(19), text(1, 'Gone')]);
    assert.equal(
      failureIn({ type: done, flags: withAttributes, seq: 1, pid: 1, body }, 'list')?.message,
      'list: ENODEV No such device (kernel: Gone)',
    );
  });

  it('are none for an ACK and for a complete list', () => {
    assert.equal(failureIn({ type: error, flags: capped, seq: 1, pid: 1, body: Buffer.alloc(20) }, 'x'), undefined);
    assert.equal(failureIn({ type: done, flags: 0, seq: 1, pid: 1, body: Buffer.alloc(4) }, 'x'), undefined);
    assert.equal(failureIn({ type: done, flags: 0, seq: 1, pid: 1, body: Buffer.alloc(0) }, 'x'), undefined);
  });

  it('take a hint for the operator', () => {
    assert.equal(explained(new NetlinkError('create', 17), 'it is there').message, 'create: EEXIST File exists; it is there');
  });

  it("use the kernel's name for errnos that the C library has two names for, or none", () => {
    assert.equal(new NetlinkError('x', 95).code, 'EOPNOTSUPP');
    assert.equal(new NetlinkError('x', 524).code, 'ENOTSUPP');
    assert.equal(new NetlinkError('x', 999).code, 'errno 999');
  });
});

function errno(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(-number);
  return bytes;
}
