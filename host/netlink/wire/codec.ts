// How netlink messages look in memory: headers, attributes, nesting, alignment. Pure; knows no family and no socket.
// Source: linux/netlink.h and Documentation/userspace-api/netlink/intro.rst. Byte order is the machine's: little-endian on x86-64 and arm64.

/** One message: `nlmsghdr` and what follows it (a family's fixed header, then attributes). */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  /** The sender's port id; 0 is the kernel. */
  readonly pid: number;
  readonly body: Buffer;
}

/** One attribute: `nla_type` without its flag bits, and its value without padding. */
export interface Attribute {
  readonly type: number;
  readonly value: Buffer;
}

const messageHeader = 16;
const attributeHeader = 4;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

export function encodeMessage(message: Message): Buffer {
  const length = messageHeader + message.body.length;
  const bytes = Buffer.alloc(align(length));
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(message.type, 4);
  bytes.writeUInt16LE(message.flags, 6);
  bytes.writeUInt32LE(message.seq, 8);
  bytes.writeUInt32LE(message.pid, 12);
  message.body.copy(bytes, messageHeader);
  return bytes;
}

/**
 * All messages of one datagram; their bodies share its memory.
 * @throws RangeError when a message claims more, or less, than is there.
 */
export function decodeMessages(datagram: Buffer): readonly Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < datagram.length; ) {
    if (datagram.length - at < messageHeader) throw cut('netlink message header', at, messageHeader, datagram.length);
    const length = datagram.readUInt32LE(at);
    if (length < messageHeader || length > datagram.length - at) throw cut('netlink message', at, length, datagram.length);
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      seq: datagram.readUInt32LE(at + 8),
      pid: datagram.readUInt32LE(at + 12),
      body: datagram.subarray(at + messageHeader, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** An attribute holding raw bytes, padded to four. */
export function attribute(type: number, value: Uint8Array): Buffer {
  const length = attributeHeader + value.length;
  if (length > 0xffff) throw new RangeError(`netlink attribute ${type} cannot hold ${value.length} bytes; the most is 65531`);
  const bytes = Buffer.alloc(align(length));
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, attributeHeader);
  return bytes;
}

export function u8(type: number, value: number): Buffer {
  return attribute(type, Uint8Array.of(value));
}

export function u16(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return attribute(type, bytes);
}

export function u32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return attribute(type, bytes);
}

/** A string with its closing NUL. */
export function text(type: number, value: string): Buffer {
  if (value.includes('\0')) throw new RangeError(`netlink attribute ${type} cannot hold a text with a NUL in it`);
  return attribute(type, Buffer.from(`${value}\0`, 'utf8'));
}

export function nested(type: number, ...attributes: readonly Uint8Array[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(attributes));
}

/**
 * All attributes in order, repeated ones included; values share the memory of `bytes`. Nested ones are decoded by a further call.
 * @throws RangeError when one claims more, or less, than is there.
 */
export function decodeAttributes(bytes: Buffer): readonly Attribute[] {
  const attributes: Attribute[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < attributeHeader) throw cut('netlink attribute header', at, attributeHeader, bytes.length);
    const length = bytes.readUInt16LE(at);
    if (length < attributeHeader || length > bytes.length - at) throw cut('netlink attribute', at, length, bytes.length);
    attributes.push({
      type: bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK,
      value: bytes.subarray(at + attributeHeader, at + length),
    });
    at += align(length);
  }
  return attributes;
}

/** Attributes by type; of repeated ones the last. */
export function attributeMap(bytes: Buffer): ReadonlyMap<number, Buffer> {
  return new Map(decodeAttributes(bytes).map(({ type, value }) => [type, value]));
}

/** A string's text: up to its NUL, or all of it when the kernel sent none. */
export function readText(value: Buffer): string {
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}

/** @throws RangeError on fewer than four bytes, as do its neighbours on fewer than they read. */
export function readU32(value: Buffer, offset = 0): number {
  requireBytes(value, offset, 4);
  return value.readUInt32LE(offset);
}

export function readI32(value: Buffer, offset = 0): number {
  requireBytes(value, offset, 4);
  return value.readInt32LE(offset);
}

export function readU16(value: Buffer, offset = 0): number {
  requireBytes(value, offset, 2);
  return value.readUInt16LE(offset);
}

export function readU8(value: Buffer, offset = 0): number {
  requireBytes(value, offset, 1);
  return value.readUInt8(offset);
}

/** `{ [key]: read(value) }` to spread into a record, or nothing when there is no such attribute. */
export function optional<Key extends string, T>(
  key: Key,
  value: Buffer | undefined,
  read: (value: Buffer) => T,
): { readonly [name in Key]?: T } {
  return value === undefined ? {} : ({ [key]: read(value) } as { readonly [name in Key]: T });
}

function requireBytes(value: Buffer, offset: number, size: number): void {
  if (value.length < offset + size) throw cut('netlink value', offset, size, value.length);
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function cut(what: string, at: number, claimed: number, length: number): RangeError {
  return new RangeError(`${what} at byte ${at} claims ${claimed} bytes, but the data is ${length} bytes long`);
}
